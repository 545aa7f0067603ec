"""Which labels are the masters' to set, and where the timer for it is delivered."""

import re
from dataclasses import replace

import pytest
from tests import clusters

from kgen.content import files, node_labels

WEB = "node-role.kubernetes.io/web"


@pytest.fixture
def cluster():
    made = clusters.with_nodes(2, clusters.one_master())
    machines = tuple(
        replace(machine, labels={WEB: "", "rack": "r7"}) if machine.name in ("m1", "w2") else machine
        for machine in made.machines
    )
    return replace(made, machines=machines)


def test_a_cluster_without_such_labels_gets_no_timer():
    made = clusters.with_nodes(2, clusters.one_master())
    for machine in made.machines:
        assert list(node_labels.files(made, machine)) == []
        assert node_labels.units(made, machine) == []


def test_masters_get_the_timer_and_the_labels_of_the_nodes(cluster):
    assert node_labels.of_nodes(cluster) == {"w2": {WEB: ""}}
    master, *_, node = cluster.machines
    assert [str(file.path) for file in node_labels.files(cluster, master)] == [
        "/etc/kgen/labels.json",
        "/etc/systemd/system/kgen-labels.service",
        "/etc/systemd/system/kgen-labels.timer",
    ]
    assert node_labels.units(cluster, master) == ["kgen-labels.timer"]
    (service,) = (file for file in node_labels.files(cluster, master) if file.path == node_labels.SERVICE)
    (condition,) = re.findall("ConditionPathExists=(.*)", "".join(map(str, service.content)))
    pods = [file for file in files.master_files(cluster, master) if str(file.path) == condition]
    assert [file.stage for file in pods] == ["controllers"], "it would wait for refused objects, or run too early"
    assert node_labels.units(cluster, node) == []
