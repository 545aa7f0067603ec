from dataclasses import replace
from ipaddress import ip_network

import pytest
from tests import clusters

from kgen.errors import InputError, ProblemsError
from kgen.model import Networking
from kgen.secrets_bundle import format as document
from kgen.secrets_bundle.pod_ranges import assign, with_ranges
from kgen.secrets_bundle.populate import populate

from .conftest import NOW


def bridged(*nodes, subnet="10.244.0.0/16"):
    """Return master m1 and ``nodes``, each a name or a pair of a name and its podCIDR."""
    machines = [clusters.master("m1", "10.0.0.1")]
    for number, entry in enumerate(nodes):
        name, network = (entry, None) if isinstance(entry, str) else (entry[0], ip_network(entry[1]))
        machines.append(replace(clusters.node(name, f"10.0.1.{number}"), pod_cidr=network))
    networking = Networking((ip_network("10.96.0.0/12"),), (ip_network(subnet),), plugin="bridge")
    return replace(clusters.one_master(), machines=tuple(machines), networking=networking)


def test_machines_get_ranges_in_their_order_around_those_given():
    assert assign(bridged(("w1", "10.244.1.0/24"), "w2"), {}) == {
        "m1": "10.244.0.0/24",
        "w1": "10.244.1.0/24",
        "w2": "10.244.2.0/24",
    }


def test_ranges_stay_when_the_list_changes():
    kept = assign(bridged("w1", "w2"), {})
    later = assign(bridged("w3", "w2"), kept)
    assert later == {"m1": kept["m1"], "w3": "10.244.3.0/24", "w2": kept["w2"], "w1": kept["w1"]}
    assert assign(bridged("w1", "w2"), later)["w1"] == kept["w1"]


def test_a_range_from_the_file_is_kept_after_its_key_is_removed():
    kept = assign(bridged(("w1", "10.244.9.0/24")), {})
    assert assign(bridged("w1"), kept) == kept


def test_another_plugin_leaves_the_ranges_alone():
    assert assign(clusters.one_master(), {"w1": "10.244.1.0/24"}) == {"w1": "10.244.1.0/24"}
    assert with_ranges(clusters.one_master(), {}) == clusters.one_master()


@pytest.mark.parametrize(
    ("cluster", "kept", "words"),
    [
        (bridged(subnet="10.245.0.0/16"), {"m1": "10.244.0.0/24"}, "not a part of networking.podSubnet"),
        (bridged(subnet="fd00::/48"), {"m1": "10.244.0.0/24"}, "not a part of networking.podSubnet"),
        (bridged(("w1", "10.244.3.0/25")), {"gone": "10.244.3.0/24"}, "10.244.3.0/25 of w1 overlaps .* gone has"),
        (bridged(("w1", "10.244.2.0/23")), {"gone": "10.244.3.0/24"}, "10.244.2.0/23 of w1 overlaps .* gone has"),
        (bridged("w1", subnet="10.244.0.0/23"), {"gone": "10.244.1.0/24"}, "no range left for w1"),
    ],
)
def test_what_does_not_fit_the_kept_ranges_is_refused(cluster, kept, words):
    with pytest.raises(InputError, match=words):
        assign(cluster, kept, "c.secrets.yaml")


def test_every_machine_gets_a_range():
    cluster = bridged("w1")
    ranged = with_ranges(cluster, assign(cluster, {}))
    assert [str(machine.pod_cidr) for machine in ranged.machines] == ["10.244.0.0/24", "10.244.1.0/24"]


def test_a_new_machine_changes_the_bundle_only_by_its_range(source):
    first = populate(None, bridged("w1"), NOW, source=source)
    assert {name for name in first.created if name.startswith("podCIDRs")} == {"podCIDRs.m1", "podCIDRs.w1"}
    second = populate(first.bundle, bridged("w1", "w2"), NOW, source=source)
    assert (second.created, second.changed) == (("podCIDRs.w2",), True)
    assert not populate(second.bundle, bridged("w1", "w2"), NOW, source=source).changed
    assert populate(second.bundle, bridged("w1"), NOW, source=source).bundle.pod_ranges == {
        "m1": "10.244.0.0/24",
        "w1": "10.244.1.0/24",
        "w2": "10.244.2.0/24",
    }


def test_ranges_are_written_and_read_back(source):
    bundle = populate(None, bridged("w1"), NOW, source=source).bundle
    text = document.dump(bundle)
    assert "podCIDRs:\n  m1: 10.244.0.0/24\n  w1: 10.244.1.0/24\n" in text
    assert document.parse(text, "x") == bundle
    with pytest.raises(ProblemsError) as caught:
        document.parse(text.replace("10.244.1.0/24", "10.244.1.1/24"), "x")
    assert [(problem.code, problem.field) for problem in caught.value.problems] == [("B103", "podCIDRs.w1")]
