"""``kgen lab`` as its users run it: one master of an image with kernel and initrd, by the kgen of the command line."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boot.clusters import Tolerance
from tests.boot.host import KERNEL_ARGUMENTS, scaled
from tests.components import golang, machine_image

pytestmark = pytest.mark.boot

CLUSTER = """\
apiVersion: kgen/v1
name: lab
kubernetesVersion: v1.37.2
image: {runner: baked}
networking: {podSubnet: 10.244.0.0/16, plugin: bridge}
controllerManager: {extraArgs: [{name: leader-elect, value: "false"}]}
scheduler: {extraArgs: [{name: leader-elect, value: "false"}]}
machines:
  - {name: m1, role: master, address: 10.88.0.11}
"""
MINUTES = 40


class Lab:
    """A directory with a rendered cluster file, and kgen in it."""

    def __init__(self, directory: Path) -> None:
        """Render."""
        self.directory = directory
        self.machines = directory / "outputs/lab/lab"
        self.image = machine_image.machine_image(machine_image.FORKY)
        (directory / "cluster.yaml").write_text(CLUSTER + Tolerance(480).lines(directory))
        self.kgen("render", "cluster.yaml")

    def kgen(self, *words: str | Path, minutes: float = 5) -> str:
        """Run kgen, and return what it prints on stdout."""
        command = [sys.executable, "-m", "kgen", *map(str, words)]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, timeout=scaled(60 * minutes))
        assert done.returncode == 0, done.stderr + done.stdout + self.console()
        return done.stdout

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


@pytest.mark.soak
def test_lab_from_up_to_down(lab: Lab) -> None:
    """One machine at this price: Ready, kubectl, a power cut, Ready again, gone."""
    disk = lab.image / machine_image.DISK
    before = (disk.stat().st_mtime_ns, disk.stat().st_size)
    boot = machine_image.base("forky") / "boot"
    printed = lab.up(
        *("--image", disk, "--kernel", lab.image / machine_image.KERNEL, "--initrd", next(boot.glob("initrd.img-*"))),
        *("--append", f"root=/dev/vda {KERNEL_ARGUMENTS}"),
    )
    assert "next: export KUBECONFIG=outputs/lab/lab/admin.conf" in printed
    assert lab.status()["state"] == "Ready"
    assert lab.status()["power"] == "on"
    assert stat.S_IMODE(lab.machines.stat().st_mode) == 0o700

    kubectl = golang.kubernetes("1.37.2") / "kubectl"
    config = lab.directory / lab.kgen("lab", "kubeconfig").strip()
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    environment = {**os.environ, "KUBECONFIG": str(config)}
    words = [kubectl, "get", "nodes", "--output=jsonpath={.items[*].status.addresses[0].address}"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=scaled(120))
    assert (done.returncode, done.stdout) == (0, "10.88.0.11"), done.stderr
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
