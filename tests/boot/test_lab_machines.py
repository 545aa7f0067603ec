"""``kgen lab`` with machines that have no operating system: their processes, disks, seeds and ports, within seconds."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kgen.lab import processes
from kgen.secrets_bundle import store
from tests.clusters import without_checksums
from tests.secret_search import search

pytestmark = pytest.mark.boot

CLUSTER = """\
apiVersion: kgen/v1
name: empty
kubernetesVersion: v1.37.2
machines:
  - {name: m1, role: master, address: 10.88.0.11}
  - name: w1
    role: node
    address: 10.88.0.21
    mac: "52:54:00:aa:bb:cc"
    network:
      version: 2
      ethernets: {eth0: {addresses: [10.88.0.21/24], routes: [{to: default, via: 10.88.0.254}]}}
pools:
  - {name: workers, role: node}
"""
BOOT_SECTOR = b"\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"  # hlt, and again
SMALL = ("--memory", "256", "--cpus", "1", "--accelerator", "tcg", "--timeout", "0")


class Empty:
    """A rendered cluster file and, beside it, an image that starts and does nothing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lab = directory / "outputs/empty/lab"
        self.image = directory / "image.qcow2"
        (directory / "cluster.yaml").write_text(CLUSTER)
        sector = directory / "sector"
        sector.write_bytes(BOOT_SECTOR)
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", sector, self.image], check=True)
        subprocess.run(["qemu-img", "resize", "-q", self.image, "1G"], check=True)
        assert self.kgen("render", "cluster.yaml").returncode == 0

    def kgen(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "kgen", *map(str, words)]
        return subprocess.run(command, cwd=self.directory, capture_output=True, text=True, timeout=300)

    def up(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Start the lab; nobody waits for what never comes."""
        return self.kgen("lab", "up", "cluster.yaml", *SMALL, *words)

    def new(self, *words: str | Path) -> None:
        ended = self.up("--image", self.image, *words)
        assert (ended.returncode, "are not Ready" in ended.stderr or "no machine is Ready" in ended.stderr) == (1, True)

    def machines(self) -> dict[str, dict[str, object]]:
        ended = self.kgen("lab", "status", "--json")
        assert ended.returncode == 0, ended.stderr
        return {it["machine"]: it for it in json.loads(ended.stdout)["machines"]}

    def pid(self, name: str) -> int:
        return int((self.lab / name / "pid").read_text())

    def seed(self, machine: str, file: str) -> bytes:
        image = self.lab / machine / "seed.iso"
        return subprocess.run(["isoinfo", "-R", "-x", f"/{file}", "-i", image], capture_output=True, check=True).stdout


@pytest.fixture
def empty(tmp_path):
    """The directory; at the end no lab is left in it."""
    made = Empty(tmp_path)
    yield made
    if made.lab.exists():
        assert made.kgen("lab", "down").returncode == 0


def test_machines_of_file_and_pools_are_on(empty):
    empty.new("--pool", "workers=2")
    machines = empty.machines()
    assert {name: it["power"] for name, it in machines.items()} == dict.fromkeys(
        ("m1", "w1", "workers-1", "workers-2"), "on"
    )
    addresses = [it["address"] for it in machines.values()]
    assert addresses[:2] == ["10.88.0.11", "10.88.0.21"]
    assert len(set(addresses)) == 4
    assert machines["m1"]["apiPort"]
    assert machines["w1"]["apiPort"] is None
    for path in empty.lab.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0 or path.parent.stat().st_mode & 0o077 == 0


def test_seed_is_the_rendered_document(empty):
    assert empty.kgen("seed", "cluster.yaml", "--pool", "workers", "--name", "workers-1").returncode == 0
    empty.new("--pool", "workers=1")
    for name in ("m1", "w1", "workers-1"):
        for file in ("user-data", "meta-data", "vendor-data"):
            rendered = (empty.directory / f"outputs/empty/seed/{name}/{file}").read_bytes()
            assert empty.seed(name, file) == rendered
    assert b"10.88.0.11/24" in empty.seed("m1", "network-config")
    assert b"via: 10.88.0.254" in empty.seed("m1", "network-config")  # the gateway that w1's own network names
    own = (empty.directory / "outputs/empty/seed/w1/network-config").read_bytes()
    assert empty.seed("w1", "network-config") == own


def test_exposure_lists_what_a_search_of_the_files_finds(empty):
    empty.new("--pool", "workers=1")
    files = {str(it.relative_to(empty.lab.parent)): it.read_bytes() for it in empty.lab.rglob("*") if it.is_file()}
    ended = empty.kgen("exposure", "cluster.yaml", "--json")
    assert ended.returncode == 0, ended.stderr
    listed = {
        (secret["name"], place["path"])
        for secret in json.loads(ended.stdout)["secrets"]
        for place in secret["places"]
        if place["kind"] == "lab"
    }
    disks = {(secret, path) for secret, path in listed if path.endswith("disk.qcow2")}  # of machines that never boot
    assert {path for _, path in disks} == {"lab/m1/disk.qcow2", "lab/w1/disk.qcow2", "lab/workers-1/disk.qcow2"}
    found = search(files, store.read(empty.directory / "cluster.secrets.yaml"))
    assert len(found) > 15
    assert found == listed - disks
    assert empty.kgen("exposure", "cluster.yaml", "--fail-on", "lab").returncode == 3


def test_image_is_never_written(empty):
    before = empty.image.read_bytes()
    empty.image.chmod(0o444)
    empty.new()
    empty.kgen("lab", "kill", "m1")
    empty.kgen("lab", "down")
    assert empty.image.read_bytes() == before


def test_power_is_cut_and_comes_back(empty):
    empty.new()
    assert "its power was cut" in empty.kgen("lab", "kill", "m1").stdout
    assert empty.machines()["m1"]["power"] == "off"
    assert empty.machines()["w1"]["power"] == "on"
    assert "was off already" in empty.kgen("lab", "kill", "m1").stdout
    assert empty.kgen("lab", "start", "m1").stdout == "m1 is on\n"
    assert empty.kgen("lab", "start", "m1").stdout == "m1 was on already\n"
    assert empty.machines()["m1"]["power"] == "on"


def test_pid_of_another_process_is_not_killed(empty):
    empty.new()
    assert empty.kgen("lab", "kill", "m1").returncode == 0
    (empty.lab / "m1/pid").write_text(str(os.getpid()))
    assert empty.machines()["m1"]["power"] == "off"
    assert empty.kgen("lab", "down").returncode == 0


def test_shutdown_that_nobody_hears_names_the_power_cut(empty):
    empty.new()
    ended = empty.kgen("lab", "stop", "m1", "--timeout", "1s")
    assert ended.returncode == 1
    assert "kgen lab kill m1" in ended.stderr


def test_up_goes_on_with_the_lab_that_exists(empty):
    empty.new()
    pid, cut = empty.pid("m1"), empty.pid("w1")
    empty.kgen("lab", "kill", "w1")
    assert empty.up().returncode == 1
    assert empty.pid("m1") == pid
    assert empty.pid("w1") != cut
    text = CLUSTER.replace("{name: m1, ", "{name: m1, labels: {rack: r7}, ")
    (empty.directory / "cluster.yaml").write_text(text)
    assert empty.kgen("render", "cluster.yaml").returncode == 0
    ended = empty.up()
    assert ended.returncode == 2
    assert "m1: the lab was made from another document" in ended.stderr
    assert "kgen lab down" in ended.stderr


def test_up_goes_on_with_the_settings_that_the_lab_has(empty):
    empty.new()
    assert "--kernel: none" in refused(empty.up("--kernel", empty.image))
    assert "--memory: 256" in refused(empty.up("--memory", "512"))
    assert "--cpus: 1" in refused(empty.up("--cpus", "2"))
    assert "--disk: virtio" in refused(empty.up("--disk", "nvme"))
    assert "--accelerator: tcg" in refused(empty.up("--accelerator", "kvm"))
    assert "--append: root=/dev/vda rw console=ttyS0" in refused(empty.up("--append", "quiet"))
    assert "has the image" in refused(empty.up("--image", empty.directory / "cluster.yaml"))
    port = str(empty.machines()["m1"]["apiPort"])
    assert empty.up("--api-port", port, "--disk", "virtio").returncode == 1


def refused(ended):
    assert ended.returncode == 2
    assert "kgen lab down" in ended.stderr
    return ended.stderr


def test_an_image_without_a_boot_sector_is_refused(empty):
    blank = empty.directory / "blank.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", blank, "1G"], check=True)
    ended = empty.up("--image", blank)
    assert ended.returncode == 2
    assert "blank.qcow2 does not start: it has no boot sector" in ended.stderr
    over = empty.directory / "over.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", blank, over], check=True)
    blank.unlink()
    ended = empty.up("--image", over)
    assert ended.returncode == 2
    assert "over.qcow2 cannot be used as an image: Could not open" in ended.stderr
    assert not empty.lab.exists()


def test_machines_that_have_lost_the_switch_are_started_again(empty):
    empty.new()
    pids = empty.pid("m1"), empty.pid("w1")
    os.kill(empty.pid(".switch"), 9)
    assert "the lab's switch has ended: `kgen lab up CLUSTER_FILE`" in empty.kgen("lab", "status").stderr
    ended = empty.kgen("lab", "start", "m1")
    assert (ended.returncode, "the lab's switch has ended" in ended.stderr) == (1, True)
    ended = empty.up()
    assert "the lab's switch had ended: the power of m1, w1 was cut and is on again" in ended.stderr
    assert empty.pid("m1") != pids[0]
    assert empty.pid("w1") != pids[1]
    os.kill(empty.pid(".gateway"), 9)
    assert "the lab's gateway has ended" in empty.kgen("lab", "status").stderr
    pids = empty.pid("m1"), empty.pid("w1")
    assert empty.up().returncode == 1
    assert (empty.pid("m1"), empty.pid("w1")) == pids
    assert "has ended" not in empty.kgen("lab", "status").stderr


def test_lab_comes_back_after_a_restart_of_the_computer(empty):
    """Then every process is gone, and pids and sockets are left."""
    empty.new()
    for name in ("m1", "w1", ".switch", ".gateway"):
        os.kill(empty.pid(name), 9)
    assert {it["power"] for it in empty.machines().values()} == {"off"}
    assert empty.up().returncode == 1
    assert {it["power"] for it in empty.machines().values()} == {"on"}


def test_port_that_is_taken_meanwhile_is_named(empty):
    empty.new()
    port = empty.machines()["m1"]["apiPort"]
    assert processes.kill(empty.lab / ".gateway")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        ended = empty.up()
    assert ended.returncode == 1
    assert f"port {port} of 127.0.0.1, which leads to m1, is taken" in ended.stderr


def test_cluster_that_has_run_needs_secrets_of_its_own(empty):
    secrets = empty.directory / "cluster.secrets.yaml"
    secrets.write_text(without_checksums(secrets.read_text()) + "seenRunning: 2026-01-01T00:00:00Z\n")
    assert empty.kgen("render", "cluster.yaml").returncode == 0
    ended = empty.up("--image", empty.image)
    assert ended.returncode == 2
    assert "kgen has seen empty run" in ended.stderr
    assert not empty.lab.exists()


def test_down_leaves_nothing(empty):
    before = sorted(empty.directory.rglob("*"))
    empty.new("--pool", "workers=1")
    assert str(empty.lab) in _running()
    assert empty.kgen("lab", "down").returncode == 0
    assert sorted(empty.directory.rglob("*")) == before
    assert str(empty.lab) not in _running()


def _running() -> str:
    """Return the command lines of all processes, at their full length."""
    return subprocess.run(["ps", "-ww", "-eo", "args="], capture_output=True, text=True).stdout
