from datetime import timedelta

import pytest
from tests import clusters
from tests.unit.running.stand_in import VERSION, node, serving

from kgen.errors import InputError, KgenError
from kgen.running import wait as waiting
from kgen.running.nodes import nodes
from kgen.running.servers import Server

CLUSTER = clusters.with_nodes(1, clusters.one_master())
NO_CNI = "container runtime network not ready: cni plugin not initialized"


@pytest.fixture
def answers():
    return {"/version": (200, VERSION), "/version/": (200, VERSION), "/api/v1/nodes": (200, {"items": []})}


@pytest.fixture
def wait(bundle, admin, tmp_path, answers, monkeypatch):
    """Call wait() on a server that gives ``answers``; return its result and every snapshot."""
    monkeypatch.setattr(waiting, "PAUSE_SECONDS", 0.01)
    seen = []

    def call(goal="ready", seconds=5.0, only=(), then=lambda snapshot: None, cluster=CLUSTER):
        def watch(snapshot):
            seen.append(snapshot)
            then(snapshot)

        with serving(bundle, answers, tmp_path) as port:
            servers = (Server(f"https://127.0.0.1:{port}", "kubernetes"),)
            limit = timedelta(seconds=seconds)
            return waiting.wait(cluster, admin, servers, goal=goal, timeout=limit, only=only, on_snapshot=watch), seen

    return call


def phases(snapshot):
    return {machine.name: machine.phase for machine in snapshot.machines}


def test_machines_come_one_after_the_other(wait, answers):
    steps = [[node("m1", "False", NO_CNI)], [node("m1"), node("w1", "")], [node("m1"), node("w1")]]

    def go_on(snapshot):
        answers["/api/v1/nodes"] = (200, {"items": steps[min(len(passed), 2)]})
        passed.append(snapshot)

    passed: list[object] = []
    last, seen = wait(then=go_on)
    assert phases(last) == {"m1": "Ready", "w1": "Ready"}
    assert [list(phases(snapshot).values()) for snapshot in seen] == [
        ["not registered", "not registered"],
        ["NotReady", "not registered"],
        ["Ready", "NotReady"],
        ["Ready", "Ready"],
    ]
    assert seen[1].machines[0].message == NO_CNI
    assert seen[2].machines[1].message == "its kubelet has not reported yet"


def test_registered_is_enough_where_there_is_no_network_plug_in(wait, answers):
    answers["/api/v1/nodes"] = (200, {"items": [node("m1", "False", NO_CNI), node("w1", "Unknown", "silent")]})
    assert phases(wait("registered")[0]) == {"m1": "NotReady", "w1": "NotReady"}
    with pytest.raises(KgenError, match="2 of 2 machines are not Ready after 0s:") as late:
        wait(seconds=0)
    assert late.value.message.splitlines()[1:] == [f"  m1: NotReady: {NO_CNI}", "  w1: NotReady: silent"]


def test_a_pools_machines_are_shown_and_waited_for_only_by_name(wait, answers):
    pool_node = node("web-7", "False", NO_CNI)
    answers["/api/v1/nodes"] = (200, {"items": [node("m1"), node("w1"), pool_node]})
    last, _ = wait()
    assert [(machine.name, machine.awaited) for machine in last.machines] == [
        ("m1", True),
        ("w1", True),
        ("web-7", False),
    ]
    with pytest.raises(KgenError, match="1 of 1 machines is not Ready after 0s:\n  web-7: NotReady"):
        wait(seconds=0, only=("web-7",))


def test_only_a_machine_of_the_file_where_there_is_no_pool(wait):
    with pytest.raises(InputError, match="w9: not in the cluster file"):
        wait(only=("m1", "w9"), cluster=clusters.one_master())


def test_rights_that_are_not_published_yet_are_waited_for(wait, answers):
    answers["/api/v1/nodes"] = (403, {"message": "nodes is forbidden"})

    def publish(snapshot):
        answers["/api/v1/nodes"] = (200, {"items": [node("m1"), node("w1")]})

    _, seen = wait(then=publish)
    assert (seen[0].server, phases(seen[0])) == ("", {"m1": "unknown", "w1": "unknown"})
    assert "nodes is forbidden" in seen[0].obstacle


def test_an_administrator_that_the_cluster_does_not_know_is_no_matter_of_time(wait, answers):
    answers["/api/v1/nodes"] = (401, {"message": "Unauthorized"})
    with pytest.raises(InputError, match="does not know the bundle's administrator"):
        wait()


def test_nodes_as_values():
    labels = {"node-role.kubernetes.io/control-plane": "", "rack": "r7"}
    view = nodes([node("b"), node("a", **labels)])
    assert list(view) == ["a", "b"]
    assert (view["a"].roles, view["a"].addresses, view["a"].kubelet) == (("control-plane",), ("10.0.0.11",), "v1.37.2")
    assert view["a"].runtime == "containerd://2.1.9"
    assert nodes([{"metadata": {"name": "bare"}}])["bare"].message == "its kubelet has not reported yet"
