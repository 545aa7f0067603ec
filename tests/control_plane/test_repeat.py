"""Running the runner again where there is a cluster already: it changes nothing, and reverts nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.control_plane import deployment, objects, tree
from tests.control_plane.deployment import Deployment, api, kubectl
from tests.control_plane.machines import Machine, until

pytestmark = pytest.mark.usefixtures("upgrade_plan")  # it runs on the master that is switched off here
PUBLISHED_LAST = ("configmap", "kgen", "-n", "kube-system")


def boot_again(one: Deployment) -> None:
    """The machine loses power and boots; cloud-init delivers again."""
    deployment.power_cycle(one.machines["m1"])
    deployment.deliver(one.user_data("m1"), one.machines["m1"].root)


def rebuild(one: Deployment) -> None:
    """The machine gets a new image and its document; etcd's data is on a disk of its own."""
    one.rebuild("m1")


def rebuild_unpublished(one: Deployment) -> None:
    """The same, and the object that says that publishing is over is gone: every object is offered again."""
    kubectl(one.machines["m1"], "delete", *PUBLISHED_LAST)
    one.rebuild("m1")


def serving(machine: Machine) -> None:
    """Wait for the API server; the runner has nothing to wait for where it was done before."""
    command = ["kubectl", "--kubeconfig", f"/{deployment.SUPER_ADMIN}", "get", "--raw", "/readyz"]
    until("ready API server", lambda: machine.run(command, chroot=True)[0] == 0)


def at_rest(one: Deployment, machine: Machine) -> dict[objects.Key, dict[str, Any]]:
    """Return what is written in everything published, once controllers have stopped changing it."""
    settled: list[dict[objects.Key, dict[str, Any]]] = [{}, objects.written(objects.live(one, machine))]

    def unchanged() -> bool:
        time.sleep(2)
        settled[:] = [settled[-1], objects.written(objects.live(one, machine))]
        return settled[0] == settled[1]

    until("rest", unchanged)
    return settled[-1]


@pytest.mark.parametrize("again", [boot_again, rebuild, rebuild_unpublished])
def test_another_run_changes_nothing(one: Deployment, m1: Machine, again: Callable[[Deployment], None]) -> None:
    ours = objects.key(one.published()[-1])
    before = at_rest(one, m1)
    everything = set(objects.everything(m1))
    again(one)
    one.first_boot(m1)
    serving(m1)
    after = objects.written(objects.live(one, m1))
    if again is rebuild_unpublished:
        assert before.pop(ours) != after.pop(ours)
    assert after == before
    assert set(objects.everything(m1)) == everything
    assert tree.differences(one.review("m1"), m1.root) == []


def test_another_boot_does_not_change_a_node(one: Deployment, m1: Machine, w1: Machine) -> None:
    before = api(m1, "node", "w1")["metadata"]["uid"]
    deployment.power_cycle(w1)
    deployment.deliver(one.user_data("w1"), w1.root)
    one.first_boot(w1)
    assert not (w1.root / "etc/kgen/payload.json").exists()
    assert tree.differences(one.review("w1"), w1.root) == []
    assert api(m1, "node", "w1")["metadata"]["uid"] == before


def test_changes_on_the_cluster_survive_another_boot(one: Deployment, m1: Machine) -> None:
    """By hand (the Corefile, a binding's subjects), by an upgrade (kubeadm-config, kube-proxy's image)."""
    edits = {
        "configmap coredns -n kube-system": {"data": {"Corefile": "changed by hand\n"}},
        "configmap kubeadm-config -n kube-system": {"metadata": {"annotations": {"upgraded": "yes"}}},
        "daemonset kube-proxy -n kube-system": {
            "spec": {"template": {"spec": {"containers": [{"name": "kube-proxy", "image": "kube-proxy:v1.37.9"}]}}}
        },
        "clusterrolebinding kubeadm:get-nodes": {"subjects": []},
    }
    originals = {where: api(m1, *where.split()) for where in edits}
    try:
        for where, patch in edits.items():
            kubectl(m1, "patch", *where.split(), "-p", json.dumps(patch))
        changed = {where: _spoken(api(m1, *where.split())) for where in edits}
        rebuild_unpublished(one)
        one.first_boot(m1)
        assert {where: _spoken(api(m1, *where.split())) for where in edits} == changed
    finally:
        for original in originals.values():
            del original["metadata"]["resourceVersion"]
            path = m1.root / "tmp/original.json"
            path.write_text(json.dumps(original))
            kubectl(m1, "replace", "-f", "/tmp/original.json")


def _spoken(found: dict) -> dict:
    """Return what a user or an upgrade says in an object: neither status nor bookkeeping of controllers."""
    metadata = {name: found["metadata"].get(name) for name in ("uid", "annotations", "labels", "generation")}
    return {"metadata": metadata, **{name: found.get(name) for name in ("data", "spec", "subjects", "roleRef")}}


def test_a_revoked_token_stays_revoked(one: Deployment, m1: Machine) -> None:
    token = next(each for each in one.published() if each.get("type") == "bootstrap.kubernetes.io/token")
    name = ("secret", token["metadata"]["name"], "-n", "kube-system")
    original = api(m1, *name)
    kubectl(m1, "delete", *name)
    try:
        one.rebuild("m1")
        one.first_boot(m1)
        status, _ = m1.run(["kubectl", "--kubeconfig", f"/{deployment.SUPER_ADMIN}", "get", *name], chroot=True)
        assert status == 1
    finally:
        restored = {"metadata": {key: original["metadata"][key] for key in ("name", "namespace")}}
        restored |= {key: original[key] for key in ("apiVersion", "kind", "type", "data")}
        path = m1.root / "tmp/token.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(restored))
        kubectl(m1, "create", "-f", "/tmp/token.json")
        path.unlink()
