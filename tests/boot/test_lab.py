"""``kgen lab`` as its users run it: an image, and one master that starts from it, by the kgen of the command line.

The base image is a Debian as clouds offer it, except that QEMU gets its kernel directly, without a boot loader.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgen import api
from tests.boot.clusters import Tolerance
from tests.boot.host import KERNEL_ARGUMENTS, scaled
from tests.components import cache, containers, golang, machine_image, salt_wheels, traces

pytestmark = pytest.mark.boot

CLUSTER = """\
apiVersion: kgen/v1
name: lab
kubernetesVersion: v1.37.2
controlPlaneEndpoint: api.lab.test:6443
image:
  runner: baked
  kubelet: {{file: kubelet, sha256: {kubelet}}}
  kubectl: {{file: kubectl, sha256: {kubectl}}}
networking: {{podSubnet: 10.244.0.0/16, plugin: bridge}}
controllerManager: {{extraArgs: [{{name: leader-elect, value: "false"}}]}}
scheduler: {{extraArgs: [{{name: leader-elect, value: "false"}}]}}
machines:
  - {{name: m1, role: master, address: 10.88.0.11}}
"""
GENERATION = machine_image.FORKY
MINUTES = 40


def sha256(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Lab:
    """A directory with a rendered cluster file, and kgen in it."""

    def __init__(self, directory: Path) -> None:
        """Render."""
        self.directory = directory
        self.machines = directory / "outputs/lab/lab"
        self.programs = golang.kubernetes(GENERATION.kubernetes)
        digests = {name: sha256(self.programs / name) for name in ("kubelet", "kubectl")}
        text = CLUSTER.format(**digests) + Tolerance(480).lines(directory)
        (directory / "cluster.yaml").write_text(text)
        self.kgen("render", "cluster.yaml")

    def kgen(self, *words: str | Path, minutes: float = 5) -> str:
        """Run kgen, and return what it prints on stdout."""
        command = [sys.executable, "-m", "kgen", *map(str, words)]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, timeout=scaled(60 * minutes))
        assert done.returncode == 0, done.stderr + done.stdout + self.console()
        return done.stdout

    def make_image(self, base: Path, boot: tuple[str | Path, ...]) -> Path:
        """Make the machines' image without a network, and return it."""
        release = (GENERATION.kubernetes, GENERATION.etcd, GENERATION.coredns, GENERATION.pause)
        self.kgen("bake", "cluster.yaml")
        wheels = salt_wheels.directory("3.14", self.directory / "outputs/lab/bake")
        given = ("--archives", containers.archives(*release), "--files", self.programs, "--wheels", wheels)
        words = ("--from", base, *boot, *given, "--timeout", f"{scaled(60 * MINUTES):.0f}s", "-o", "image.qcow2")
        self.kgen("lab", "image", "cluster.yaml", *words, minutes=MINUTES + 5)
        return self.directory / "image.qcow2"

    def console(self) -> str:
        """Return the end of m1's console."""
        log = self.machines / "m1/console.log"
        return log.read_text(errors="replace")[-6000:] if log.exists() else ""

    def up(self, *words: str | Path) -> str:
        """Run ``kgen lab up`` until m1 is Ready."""
        seconds = f"{scaled(60 * MINUTES):.0f}s"
        return self.kgen("lab", "up", "cluster.yaml", "--timeout", seconds, *words, minutes=MINUTES + 5)

    def status(self) -> dict[str, object]:
        """Return what ``kgen lab status`` says of m1."""
        (machine,) = json.loads(self.kgen("lab", "status", "--json"))["machines"]
        return machine

    def processes(self) -> list[str]:
        """Return the command lines of processes that name the lab's directory."""
        found = subprocess.run(["ps", "-ww", "-eo", "args="], capture_output=True, text=True).stdout.splitlines()
        return [line for line in found if str(self.machines) in line]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The directory; at the end nothing of the lab runs."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    if lab.machines.exists():
        lab.kgen("lab", "down")


def refuse_what_an_image_must_not_hold(cluster_file: Path, disk: Path) -> None:
    """Compare an image with its recipe, and look for traces of the machine that it was made in."""
    raw = disk.with_suffix(".raw")
    cache.run(["qemu-img", "convert", "-O", "raw", disk, raw])
    with machine_image.mounted(raw, disk.with_name("mounted")) as root:
        assert list(api.verify_image(cluster_file, root)) == []
        assert traces.left_over(root) == []
        assert (root / "etc/machine-id").read_text() == ""
        assert list((root / "home").iterdir()) == []
    raw.unlink()


@pytest.mark.soak
def test_lab_from_up_to_down(lab: Lab) -> None:
    """One machine at this price: an image, Ready, kubectl, a power cut, Ready again, gone."""
    cloud = machine_image.cloud_image(GENERATION.suite)
    boot = ("--kernel", cloud / machine_image.KERNEL, "--initrd", cloud / machine_image.INITRD)
    boot = (*boot, "--append", f"root=/dev/vda {KERNEL_ARGUMENTS}")
    base = cloud / machine_image.DISK
    changed = base.stat().st_mtime_ns
    disk = lab.make_image(base, boot)
    assert base.stat().st_mtime_ns == changed
    refuse_what_an_image_must_not_hold(lab.directory / "cluster.yaml", disk)
    before = (disk.stat().st_mtime_ns, disk.stat().st_size)
    printed = lab.up("--image", disk, *boot)
    assert "next: export KUBECONFIG=outputs/lab/lab/admin.conf" in printed
    assert lab.status()["state"] == "Ready"
    assert lab.status()["power"] == "on"
    assert stat.S_IMODE(lab.machines.stat().st_mode) == 0o700

    kubectl = lab.programs / "kubectl"
    config = lab.directory / lab.kgen("lab", "kubeconfig").strip()
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    seconds = f"{scaled(60 * MINUTES):.0f}s"
    environment = {**os.environ, "KUBECONFIG": str(config)}
    words = [kubectl, "get", "nodes", "--output=jsonpath={.items[*].status.addresses[0].address}"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=scaled(120))
    assert (done.returncode, done.stdout) == (0, "10.88.0.11"), done.stderr
    # kube-proxy reaches the API server by the endpoint's name, and CoreDNS by kube-proxy's rules.
    words = [kubectl, "rollout", "status", "--namespace=kube-system", "deployment/coredns", f"--timeout={seconds}"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + lab.console()
    # The documents stay good for a first boot: the lab does not count as the cluster that runs.
    assert "seenRunning" not in (lab.directory / "cluster.secrets.yaml").read_text()
    lab.kgen("render", "cluster.yaml", "--check")

    lab.kgen("lab", "kill", "m1")
    assert lab.status()["power"] == "off"
    lab.kgen("lab", "start", "m1")
    lab.up()
    assert lab.status()["state"] == "Ready"
    assert lab.kgen("lab", "console", "m1").count("kgen lab: power on") >= 2

    assert lab.processes()
    lab.kgen("lab", "down")
    assert not lab.machines.exists()
    assert lab.processes() == []
    assert (disk.stat().st_mtime_ns, disk.stat().st_size) == before
