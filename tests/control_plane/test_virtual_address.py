"""The page about a virtual address: three masters behind one address, which Debian's keepalived moves."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import pages
from tests.components import keepalived
from tests.control_plane import deployment
from tests.control_plane.conftest import HERE
from tests.control_plane.deployment import Deployment
from tests.control_plane.machines import Bench, Machine, until

ADDRESS = "10.0.0.10"
MASTERS = {"m1": "10.0.0.11", "m2": "10.0.0.12", "m3": "10.0.0.13"}
CONFIGURATION = "etc/keepalived/keepalived.conf"
PATIENCE_SECONDS = 180.0  # the slowest of these took 34 with a load of 20 on two cores
IS_ROOT = os.geteuid() == 0
LOG = f"{deployment.LOGS}/keepalived.log"


def start_keepalived(machine: Machine) -> None:
    """Give the machine Debian's keepalived and curl, and start keepalived with the configuration that lies there."""
    for directory in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64"):
        (machine.root / directory).mkdir(exist_ok=True)
        machine.check(["mount", "--bind", keepalived.tree() / directory, machine.root / directory])
    for link in ("lib", "lib64"):
        (machine.root / link).symlink_to(f"usr/{link}")
    deployment.write(machine.root / "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    machine.check(["keepalived", "--config-test"], chroot=True)
    with (machine.root / LOG).open("w") as log:
        command = ["keepalived", "--dont-fork", "--log-console", "--vrrp"]
        machine.start(command, chroot=True, stdout=log.fileno(), as_host_root=IS_ROOT)


@pytest.fixture(scope="module")
def metal(tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]) -> Iterator[Deployment]:
    """The cluster of the page: its masters are done and have keepalived, and a node has joined at the address."""
    source = tmp_path_factory.mktemp("page") / "metal.yaml"
    source.write_text(pages.cluster_file(pages.page("virtual-address.md")))
    bench_only = yaml.safe_load((HERE / "three.yaml").read_text())["nodeRegistration"]

    def before(cluster_file: Path) -> None:
        cluster_file.write_text(f"{cluster_file.read_text()}nodeRegistration: {bench_only}\n")

    with Bench() as bench:
        cluster = Deployment.render(source, tmp_path_factory.mktemp("metal"), bench, machines, before=before)
        masters = [cluster.machine(name, address) for name, address in MASTERS.items()]
        w1 = cluster.machine("w1", "10.0.0.21")
        node = deployment.start_first_boot(w1)
        for machine, running in [(machine, deployment.start_first_boot(machine)) for machine in masters]:
            deployment.finished(running, machine)
        for machine in masters:
            start_keepalived(machine)
        deployment.finished(node, w1)
        yield cluster


def holders(cluster: Deployment) -> list[str]:
    """Return the masters that have the address."""
    found = {name: cluster.machines[name].check(["ip", "-o", "address", "show", "dev", "eth0"]) for name in MASTERS}
    return [name for name, text in found.items() if f" {ADDRESS}/32 " in text]


def holder(cluster: Deployment, *, other_than: str = "") -> str:
    """Return the only master that has the address, once it is not ``other_than`` and the API answers there."""

    def only() -> str:
        found = holders(cluster)
        return found[0] if len(found) == 1 and found != [other_than] and answers(cluster) else ""

    return until("master that answers at the address", only, seconds=PATIENCE_SECONDS)


def answers(cluster: Deployment) -> bool:
    """Return whether the node gets its Node from the API with its own kubeconfig, which has the virtual address."""
    command = ["kubectl", "--kubeconfig", "/etc/kubernetes/kubelet.conf", "--request-timeout=5s", "get", "node", "w1"]
    return cluster.machines["w1"].run(command, chroot=True)[0] == 0


def is_ready(machine: Machine) -> bool:
    """Return whether keepalived's own check finds the machine's API server ready."""
    lines = (machine.root / CONFIGURATION).read_text().splitlines()
    (check,) = (shlex.split(line)[1] for line in lines if line.strip().startswith("script "))
    return machine.run(shlex.split(check), chroot=True)[0] == 0


def test_the_node_has_joined_at_the_address_of_one_master(metal: Deployment) -> None:
    kubelet_conf = yaml.safe_load((metal.machines["w1"].root / "etc/kubernetes/kubelet.conf").read_text())
    assert kubelet_conf["clusters"][0]["cluster"]["server"] == f"https://{ADDRESS}:6443"
    assert holder(metal) in MASTERS


def test_another_master_answers_when_the_holder_is_unplugged(metal: Deployment) -> None:
    first = holder(metal)
    machine = metal.machines[first]
    machine.unplug()
    try:
        holder(metal, other_than=first)
    finally:
        machine.plug()

    def state() -> str:
        return re.findall(r"Entering (\w+) STATE", (machine.root / LOG).read_text())[-1]

    until("first holder as a backup", lambda: state() == "BACKUP", seconds=PATIENCE_SECONDS)
    until("first holder's API server", lambda: is_ready(machine), seconds=PATIENCE_SECONDS)
    assert holder(metal) != first


@pytest.mark.skipif(not IS_ROOT, reason="keepalived's check calls setgroups, which needs root here")
def test_the_address_leaves_a_master_whose_api_server_is_stopped(metal: Deployment) -> None:
    first = holder(metal)
    machine = metal.machines[first]
    manifest = machine.root / "etc/kubernetes/manifests/kube-apiserver.yaml"
    text = manifest.read_text()
    manifest.unlink()
    try:
        holder(metal, other_than=first)
    finally:
        deployment.write(manifest, text, 0o600)
    until("its API server", lambda: is_ready(machine), seconds=PATIENCE_SECONDS)
