"""A master that has a disk and nothing else: it starts by iPXE, and takes its document from `kgen serve`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.boot.clusters import Cluster
from tests.boot.host import KERNEL_ARGUMENTS, ROOT
from tests.boot.machines import GATEWAY, Machine, Segment
from tests.components import machine_image

pytestmark = [pytest.mark.boot, pytest.mark.soak]

CLUSTER = """\
apiVersion: kgen/v1
name: metal
kubernetesVersion: v{version}
networking: {{podSubnet: 10.244.0.0/16, plugin: bridge}}
machines:
  - {{name: m1, role: master, address: 10.88.0.11, mac: "52:54:00:00:00:0b"}}
"""


def test_master_without_a_seed_becomes_ready(tmp_path: Path) -> None:
    generation = machine_image.FORKY
    with Segment("pxe") as segment:
        cluster = Cluster(segment, tmp_path, CLUSTER.format(version=generation.kubernetes), generation)
        machine = Machine(segment, tmp_path / "m1", 11, generation=generation)
        machine.from_network = True
        cluster.machines["m1"] = machine
        words = ("serve", "cluster.yaml", "--listen", f"{GATEWAY}:8080")
        printed = cluster.kgen(*words, "--dhcp", "full")
        assert printed.returncode == 0, printed.stderr
        (tmp_path / "dnsmasq.conf").write_text(printed.stdout, encoding="utf-8")
        files = (f"--dhcp-leasefile={tmp_path / 'leases'}", f"--pid-file={tmp_path / 'dnsmasq.pid'}")
        dnsmasq = segment.command("dnsmasq", "--no-daemon", f"--conf-file={tmp_path / 'dnsmasq.conf'}", *files)
        boot = ("--boot-files", machine_image.base(generation.suite), "--append", f"{ROOT} {KERNEL_ARGUMENTS}")
        serve = segment.command(sys.executable, "-m", "kgen", *words, *boot, "--json")
        with running(dnsmasq, tmp_path), running(serve, tmp_path) as events:
            machine.power_on()
            cluster.wait(25)
            cluster.until("a report of its end", lambda: "first boot ended" in events.read_text(encoding="utf-8"))
        lines = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()[1:]]
        assert {line["address"] for line in lines} <= {"10.88.0.11", None}
        texts = [line["text"].partition(" (")[0] for line in lines if line["event"] == "served"]
        assert texts[0] == "got its boot script"
        assert any(line["stage"] == "first boot" and "step" in line["text"] for line in lines)
        assert texts.count("took user-data") == 1
        assert not [line for line in lines if line["event"] == "refused"]


@contextmanager
def running(command: list[str], directory: Path) -> Iterator[Path]:
    """Run a program until the end of the block, and yield the file that has what it prints."""
    output = directory / f"{Path(command[4]).name}.log"
    with output.open("wb") as log, (directory / f"{output.name}.errors").open("wb") as errors:
        process = subprocess.Popen(command, stdout=log, stderr=errors, cwd=directory)
        try:
            yield output
        finally:
            process.terminate()
            process.wait()
