"""The keys of sealed payloads: one for each machine and pool, made once."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests import clusters

from kgen.errors import InputError, ProblemsError
from kgen.pipeline import Pipeline
from kgen.secrets_bundle.format import dump, parse
from kgen.secrets_bundle.populate import populate

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def sealing(cluster, value="sealed"):
    return replace(cluster, user_data_secrets=value)


CLUSTER = sealing(clusters.with_nodes(2, clusters.one_master()))


@pytest.fixture(scope="module")
def bundle():
    return populate(None, CLUSTER, NOW).bundle


def test_every_machine_has_a_key_of_its_own(bundle):
    assert list(bundle.seal_keys) == [machine.name for machine in CLUSTER.documents]
    assert len(bundle.seal_keys) == len({key.key for key in bundle.seal_keys.values()}) == 4
    assert len({key.recipient for key in bundle.seal_keys.values()}) == 4


def test_keys_are_made_once_and_go_with_their_machines(bundle):
    assert not populate(bundle, CLUSTER, NOW).changed
    more = populate(bundle, sealing(clusters.with_nodes(3, clusters.one_master())), NOW)
    assert more.created == ("sealKeys.w3",)
    assert more.bundle.seal_keys["w2"] == bundle.seal_keys["w2"]
    fewer = populate(bundle, sealing(clusters.with_nodes(1, clusters.one_master())), NOW)
    assert list(fewer.bundle.seal_keys) == ["m1", "w1", "workers"]


def test_a_cluster_that_stops_sealing_keeps_its_keys(bundle):
    assert not populate(bundle, sealing(CLUSTER, "embedded"), NOW).changed
    assert populate(None, sealing(CLUSTER, "embedded"), NOW).bundle.seal_keys == {}


def test_keys_are_read_back_and_shown_nowhere(bundle):
    assert parse(dump(bundle), "a file") == bundle
    assert "PRIVATE" not in repr(bundle)


@pytest.mark.parametrize(
    ("before", "after"), [("    recipient: ", "    recipient: ."), ("    recipient: ", "    recipent: ")]
)
def test_damage_of_another_shape_has_a_line(bundle, before, after):
    with pytest.raises(ProblemsError) as caught:
        parse(dump(bundle).replace(before, after, 1), "a file")
    assert {problem.code for problem in caught.value.problems} == {"B103"}
    assert all(problem.line for problem in caught.value.problems)


def test_a_recipient_that_is_not_the_keys_is_damage(bundle):
    swapped = {**bundle.seal_keys, "m1": replace(bundle.seal_keys["m1"], recipient=bundle.seal_keys["w1"].recipient)}
    with pytest.raises(InputError, match=r"sealKeys\.m1 of the secrets bundle is damaged: is for another key"):
        list(Pipeline(CLUSTER, replace(bundle, seal_keys=swapped)).artifacts(review_all=False))
