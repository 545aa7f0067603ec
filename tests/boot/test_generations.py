"""A master of each generation: a Debian suite and the Kubernetes release that its machines carry; with an odd name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.boot.clusters import Cluster
from tests.boot.machines import Segment
from tests.components import machine_image

pytestmark = [pytest.mark.boot, pytest.mark.soak]

CLUSTER = """\
apiVersion: kgen/v1
name: generation
kubernetesVersion: v{version}
networking: {{podSubnet: 10.244.0.0/16, plugin: bridge}}
controllerManager: {{extraArgs: [{{name: leader-elect, value: "false"}}]}}
scheduler: {{extraArgs: [{{name: leader-elect, value: "false"}}]}}
machines:
  - {{name: "{name}", role: master, address: 10.88.0.11}}
"""
# Two that are something else to YAML wherever somebody forgets the quotes, and one with all that a name may have.
NAMES = {"bookworm": "007.prod--1.example.org", "trixie": "1e3", "forky": "null"}
# In the image of each: cloud-init, Python, containerd.
VERSIONS = {
    "bookworm": ("22.4", "3.11", "1.6"),
    "trixie": ("25.1", "3.13", "1.7"),
    "forky": ("26.2", "3.14", "2.1"),
}
# Documents bring the runner; the units are the image's, or theirs on one that has nothing of kgen.
DISKS = {"bookworm": machine_image.PLAIN_DISK, "trixie": machine_image.DISK, "forky": machine_image.PLAIN_DISK}
COPIES = r"find /var/lib/cloud/instances/ /run/cloud-init/ \( -name '*.txt*' -o -name obj.pkl -o -name '*sensitive*' \)"


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "forky"])
def test_master_becomes_ready(suite: str, tmp_path: Path) -> None:
    generation = machine_image.GENERATIONS[suite]
    name = NAMES[suite]
    with Segment(suite) as segment:
        cluster = Cluster(segment, tmp_path, CLUSTER.format(version=generation.kubernetes, name=name), generation)
        machine = cluster.machine(name, 11, disk=DISKS[suite])
        machine.power_on()
        cluster.wait(20)
        node = cluster.get("node", name)
        assert node["status"]["nodeInfo"]["kubeletVersion"] == f"v{generation.kubernetes}"
        assert machine.shell("hostname").stdout.strip() == name
        cloud_init, python, containerd = VERSIONS[suite]
        assert f" {cloud_init}" in machine.shell("cloud-init --version 2>&1").stdout
        assert f" {python}." in machine.shell("python3 --version").stdout
        assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith(f"containerd://{containerd}.")
        cluster.until("cloud-init done", lambda: machine.shell("cloud-init status --wait").returncode == 0)
        assert machine.shell(COPIES).stdout
        cluster.until("copies emptied", lambda: not machine.shell(f"{COPIES} -size +0").stdout, 120)
        certificates = machine.shell("kubeadm certs check-expiration --kubeconfig /etc/kubernetes/admin.conf")
        assert certificates.returncode == 0, certificates.stderr
        cluster.wait_for_coredns()
