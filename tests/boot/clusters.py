"""A cluster file and what its user does with it: render, seed machines, look at the cluster with stock clients."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgen.lab import qemu
from tests.boot.host import KERNEL_ARGUMENTS, ROOT, host, scaled
from tests.boot.machines import GATEWAY, Machine, Segment
from tests.boot.packets import Watcher
from tests.components import golang, machine_image

# Emulated machines share two cores: they get long waits, and the checks stay as they are.
PATIENCE = 900
SERVE_PORT = 8080


def chosen_seed() -> int:
    """Return the seed of what a run draws by chance: ``$KGEN_BOOT_SEED``, to see one again, else a new one."""
    return int(os.environ.get("KGEN_BOOT_SEED") or random.randrange(10**6))


@dataclass(frozen=True)
class Tolerance:
    """What slow static pods are allowed, before the host's factor: kubeadm's values unless a scenario needs more."""

    healthy_seconds: int = 240
    liveness_failures: int = 8
    readiness_period: int = 1

    def lines(self, directory: Path) -> str:
        """Return lines of a cluster file, and write the patches that they name; "" where kubeadm's values will do.

        The first boot's own waits grow with ``controlPlaneComponentHealthCheck``, and so does the startup probe.
        """
        factor = host().factor
        if factor == 1 and self == Tolerance():
            return ""
        liveness = {
            "failureThreshold": math.ceil(self.liveness_failures * factor),
            "timeoutSeconds": math.ceil(15 * factor),
        }
        readiness = {
            "periodSeconds": math.ceil(self.readiness_period * factor),
            "timeoutSeconds": liveness["timeoutSeconds"],
        }
        patches = directory / "patches"
        patches.mkdir(exist_ok=True)
        for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
            container: dict[str, object] = {"name": name, "livenessProbe": liveness}
            if name != "kube-controller-manager":  # it has no readiness probe
                container["readinessProbe"] = readiness
            text = json.dumps({"spec": {"containers": [container]}})
            (patches / f"{name}.yaml").write_text(text, encoding="utf-8")
        seconds = round(self.healthy_seconds * factor)
        return f"timeouts: {{controlPlaneComponentHealthCheck: {seconds}s}}\npatches: {{directory: {patches}}}\n"


class Cluster:
    """One cluster file in ``directory``, its outputs beside it, and its machines on ``segment``."""

    def __init__(
        self,
        segment: Segment,
        directory: Path,
        text: str,
        generation: machine_image.Generation = machine_image.FORKY,
        tolerance: Tolerance = Tolerance(),
    ) -> None:
        """Write the cluster file and render it; on a slow host, static pods are allowed more than the file says."""
        self.tolerance = tolerance
        self.segment = segment
        self.directory = directory
        self.generation = generation
        self.file = directory / "cluster.yaml"
        self.machines: dict[str, Machine] = {}
        self.watcher: Watcher  # of the segment's packets, where a scenario has one
        directory.mkdir(parents=True, exist_ok=True)
        self.write(text)

    def write(self, text: str) -> None:
        """Replace the cluster file and render."""
        self.file.write_text(text + self.tolerance.lines(self.directory), encoding="utf-8")
        done = self.kgen("render", self.file)
        assert done.returncode == 0, done.stderr

    @property
    def outputs(self) -> Path:
        """Return the directory that ``kgen render`` filled."""
        (directory,) = (self.directory / "outputs").iterdir()
        return directory

    def machine(self, name: str, number: int, *, disk: str = machine_image.DISK, **size: int) -> Machine:
        """Return machine ``name`` with a new disk and its document or published stub as user-data, still off.

        If the document is sealed, QEMU hands the machine its key by fw_cfg.
        """
        machine = Machine(self.segment, self.directory / name, number, generation=self.generation, disk=disk, **size)
        machine.new_disk()
        if (key := self.outputs / f"sealed/{name}.key").exists():
            shutil.copy(key, machine.directory / qemu.SEAL_KEY)
        published = self.outputs / "publish"
        root = published if published.exists() else self.outputs
        machine.seed((root / f"user-data/{name}.yaml.gz").read_bytes(), f"i-{name}-1")
        self.machines[name] = machine
        return machine

    def kgen(self, *words: str | Path, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run kgen on the segment, outside the machines, in the cluster file's directory."""
        return self.segment.run(sys.executable, "-m", "kgen", *words, timeout=timeout, cwd=self.directory)

    @contextmanager
    def serve(self) -> Iterator[None]:
        """Until the end of the block, let machines that have a ``mac`` start by iPXE: dnsmasq and ``kgen serve``."""
        words = ("serve", "cluster.yaml", "--listen", f"{GATEWAY}:{SERVE_PORT}")
        printed = self.kgen(*words, "--dhcp", "full")
        assert printed.returncode == 0, printed.stderr
        configuration = self.directory / "dnsmasq.conf"
        configuration.write_text(printed.stdout, encoding="utf-8")
        files = (f"--dhcp-leasefile={self.directory}/leases", f"--pid-file={self.directory}/dnsmasq.pid")
        dnsmasq = ("dnsmasq", "--no-daemon", f"--conf-file={configuration}", *files)
        boot = ("--boot-files", machine_image.base(self.generation.suite), "--append", f"{ROOT} {KERNEL_ARGUMENTS}")
        serve = (sys.executable, "-m", "kgen", *words, *boot, "--json")
        running = self.segment.running
        with running(self.directory / "dnsmasq.log", *dnsmasq), running(self.directory / "serve.log", *serve):
            yield

    def served(self) -> list[dict[str, str]]:
        """Return the events that ``kgen serve`` has printed so far. Its first line says where it listens."""
        lines = (self.directory / "serve.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines[1:]]

    def wait(self, minutes: int) -> None:
        """Run ``kgen wait``, for at most ``minutes``, longer on a slow host."""
        done = self.kgen(
            "wait", "cluster.yaml", "--timeout", f"{scaled(60 * minutes):.0f}s", timeout=60 * minutes + 300
        )
        consoles = "".join(f"\n--- {name}\n{each.console()[-6000:]}" for name, each in self.machines.items())
        assert done.returncode == 0, done.stderr + done.stdout + consoles

    def wait_for_coredns(self, minutes: int = 15) -> None:
        """Wait until CoreDNS is rolled out, for at most ``minutes``, longer on a slow host."""
        seconds = 60 * minutes
        words = ("rollout", "status", "--namespace=kube-system", "deployment/coredns")
        self.kubectl(*words, f"--timeout={scaled(seconds):.0f}s", timeout=seconds + 20)

    def kubectl(self, *words: str | Path, timeout: float = 120) -> str:
        """Run the real kubectl as admin from outside the machines and return what it printed."""
        command = self.kubectl_command(*words)
        done = subprocess.run(command, capture_output=True, text=True, timeout=scaled(timeout), cwd=self.directory)
        assert done.returncode == 0, f"kubectl {' '.join(map(str, words))}: {done.stderr}{done.stdout}"
        return done.stdout

    def kubectl_command(self, *words: str | Path) -> list[str]:
        """Return the command line of the real kubectl as admin, on the segment, outside the machines."""
        program = golang.kubernetes(self.generation.kubernetes) / "kubectl"
        return self.segment.command(program, "--kubeconfig", self.outputs / "admin.conf", *words)

    def etcdctl(self, master: str, addresses: Iterable[str], *words: str) -> Any:
        """Run the real etcdctl with the credential of ``master`` and return what the first member that answers says."""
        pki = self.outputs / "nodes" / master / "etc/kubernetes/pki/etcd"
        done = self.segment.run(
            golang.etcd("3.7.0") / "etcdctl",
            "--endpoints=" + ",".join(f"https://{address}:2379" for address in addresses),
            *(f"--cacert={pki}/ca.crt", f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key"),
            *("--write-out=json", f"--command-timeout={scaled(60):.0f}s", *words),
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def get(self, *words: str) -> Any:
        """Return what ``kubectl get`` finds."""
        return json.loads(self.kubectl("get", *words, "--output=json"))

    def until(self, what: str, probe: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Return what ``probe()`` returns once it is true; a failing assertion in it counts as false.

        After ``seconds``, longer on a slow host, it fails with the ends of the consoles.
        """
        seconds = scaled(seconds)
        deadline = time.monotonic() + seconds
        problem: object = ""
        while True:
            try:
                found = probe()
                if found:
                    return found
            except (AssertionError, subprocess.TimeoutExpired) as error:
                problem = error
            consoles = "".join(f"\n--- {name}\n{each.console()[-3000:]}" for name, each in self.machines.items())
            assert time.monotonic() < deadline, f"no {what} in {seconds:.0f} s: {problem}{consoles}"
            time.sleep(3)
