"""A first boot that is killed again and again, at every step and around every request, ends like any other."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control_plane import deployment, objects, tree
from tests.control_plane.deployment import Deployment
from tests.control_plane.machines import Bench, Machine, Running

ANNOTATIONS = {"kubeadm.alpha.kubernetes.io/cri-socket": "unix:///run/containerd/containerd.sock"}  # as for v1.33
INTERRUPTED = Path(__file__).with_name("interrupted.py")


@pytest.fixture(scope="module")
def survivor(
    started_plan: Running, m1: Machine, tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]
) -> Iterator[Deployment]:
    """A cluster like ``one`` whose runners were killed all the way; once, the master lost power too."""
    with Bench() as bench:
        source = Path(__file__).with_name("one.yaml")
        cluster = Deployment.render(source, tmp_path_factory.mktemp("survivor"), bench, machines)
        machine = cluster.machine("m1", "10.71.0.11")
        static_pods = 4  # their manifests are written by later steps
        for count in range(1, len(tree.listing(cluster.review("m1"))) - static_pods, 6):
            assert killed(machine, "before-file", count)
        steps = done(m1)
        for _ in range(steps.index("files"), steps.index("publish")):
            assert killed(machine, "before-state", 1)
            assert killed(machine, "after-state", 1)
        assert done(machine) == steps[: steps.index("publish")]
        late = json.loads((machine.root / "etc/kgen/payload.json").read_text())["body"]["late"]
        assert late > 1
        early = len(cluster.published()) - late
        for count in range(1, early + 1):
            assert killed(machine, "before-post" if count % 2 else "after-post", count)
            if count == early // 2:
                deployment.power_cycle(machine)
        for _ in range(steps.index("publish"), steps.index("manifests")):
            assert killed(machine, "after-state", 1)
        for count in range(1, late + 1):
            assert killed(machine, "before-post" if count % 2 else "after-post", count)
        while killed(machine, "before-state", 1):
            killed(machine, "after-state", 1)
        assert done(machine) == steps
        node = cluster.machine("w1", "10.71.0.21")
        deployment.reseal(node, node={"metadata": {"annotations": ANNOTATIONS}})
        assert killed(node, "before-file", 3)
        while killed(node, "before-state", 1):
            killed(node, "after-state", 1)
        yield cluster


def done(machine: Machine) -> list[str]:
    """Return the steps that the runner has recorded as done."""
    path = machine.root / deployment.STATE
    (steps,) = json.loads(path.read_text()).values()
    return list(steps)


def killed(machine: Machine, event: str, count: int) -> bool:
    """Run the runner until it is killed at that moment; false when it came to its end without one."""
    command = [sys.executable, "-I", "-S", INTERRUPTED, event, str(count), *deployment.runner_command(machine)]
    status, output = machine.run(command, seconds=deployment.FIRST_BOOT_SECONDS)
    assert status in (0, -signal.SIGKILL), output[-4000:]
    return status != 0


@pytest.mark.parametrize("name", ["m1", "w1"])
def test_the_tree_is_the_review_tree(survivor: Deployment, name: str) -> None:
    assert tree.differences(survivor.review(name), survivor.machines[name].root) == []


def test_no_temporary_file_is_left(survivor: Deployment) -> None:
    machine, review = survivor.machines["m1"], survivor.review("m1")
    expected = {path.relative_to(review) for path in review.rglob("*")}
    directories = {path.parent for path in expected if len(path.parts) > 1} | {Path(deployment.STATE).parent}
    left = [
        path
        for directory in directories
        for path in sorted((machine.root / directory).iterdir())
        if path.name.startswith(".") or path.suffix in (".tmp", ".new")
    ]
    assert left == []


def test_the_objects_are_those_of_an_undisturbed_cluster(survivor: Deployment, one: Deployment, m1: Machine) -> None:
    machine = survivor.machines["m1"]
    found = objects.live(survivor, machine)
    for rendered in survivor.published():
        assert objects.missing(rendered, found[objects.key(rendered)]) == []

    def names(master: Machine) -> set[tuple[str, str, str]]:
        return {key for key in objects.everything(master) if "bootstrap-token-" not in key[2]}

    assert names(machine) == names(m1)


def test_the_node_is_marked_once(survivor: Deployment) -> None:
    node = deployment.api(survivor.machines["m1"], "node", "m1")
    taints = [taint["key"] for taint in node["spec"]["taints"]]
    assert taints.count("node-role.kubernetes.io/control-plane") == 1


def test_the_node_has_annotated_itself(survivor: Deployment) -> None:
    node = deployment.api(survivor.machines["m1"], "node", "w1")
    assert node["metadata"]["annotations"].items() >= ANNOTATIONS.items()
