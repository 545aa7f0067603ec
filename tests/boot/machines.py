"""Whole machines under QEMU, on a network segment that exists only for them.

The segment is a network namespace with a bridge; whoever looks at the machines from outside does so from inside it
(``Segment.run``). Commands inside a machine go through QEMU's guest agent, which the test image carries. Needs root.

QEMU's command line, its process, disk and seed are those of ``kgen lab`` (``kgen.lab``). The network is not: tests
count packets on the bridge, run stock clients beside it, and plug machines of the control-plane tier in (ADR 15).
"""

from __future__ import annotations

import base64
import json
import math
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Any

from kgen.emitters.iso import iso
from kgen.lab import disks, network, processes, qemu
from kgen.lab.qemu import Hardware
from tests.boot.host import KERNEL_ARGUMENTS, ROOT, host, report, scaled
from tests.components import machine_image

PREFIX = "10.88.0"
GATEWAY = f"{PREFIX}.1"
_SEGMENT = network.Segment(IPv4Network(f"{PREFIX}.0/24"), IPv4Address(GATEWAY), IPv4Address(GATEWAY))
_PANIC_CHARACTERS = 10_000  # what the console shows of a panic, at most
_SILENCE = 300  # seconds after which a kernel that has said nothing since power-on hangs (it speaks after 40 at most)
_SEGMENTS: list[Segment] = []  # those that exist now


@contextmanager
def standing_still() -> Iterator[None]:
    """Stop every machine of every segment for a while."""
    machines = [machine for segment in _SEGMENTS for machine in segment.machines]
    for machine in machines:
        machine.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for machine in machines:
            machine.signal(signal.SIGCONT)


class Segment:
    """A network namespace with a bridge, one tap device a machine; removed with everything in it at the end."""

    def __init__(self, name: str) -> None:
        """Name the namespace; nothing is made before the segment is entered."""
        self.name = f"kgen-{name}-{os.getpid()}"
        self.machines: list[Machine] = []

    def __enter__(self) -> Segment:
        """Make the namespace and the bridge with the address of whoever looks from outside."""
        _SEGMENTS.append(self)
        _run("ip", "netns", "add", self.name)
        for words in (
            "link set lo up",
            "link add br0 type bridge",
            f"addr add {GATEWAY}/24 dev br0",
            "link set br0 up",
        ):
            self._ip(words)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch every machine off and remove the namespace."""
        _SEGMENTS.remove(self)
        for machine in self.machines:
            machine.kill()
        _run("ip", "netns", "del", self.name)

    def _ip(self, words: str) -> None:
        _run("ip", "-n", self.name, *words.split())

    def tap(self, number: int) -> str:
        """Make the tap device of machine ``number`` unless it exists, and return its name."""
        device = f"tap{number}"
        if subprocess.run(["ip", "-n", self.name, "link", "show", device], capture_output=True).returncode:
            self._ip(f"tuntap add dev {device} mode tap")
            self._ip(f"link set {device} master br0 up")
        return device

    def command(self, *words: str | Path) -> list[str]:
        """Return the command line that runs ``words`` on the segment, outside every machine."""
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def run(
        self, *words: str | Path, timeout: float = 120, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the host's on the segment, for at most ``timeout`` seconds, longer on a slow host."""
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=scaled(timeout), cwd=cwd)

    @contextmanager
    def running(self, log: Path, *words: str | Path) -> Iterator[None]:
        """Run a command on the segment until the end of the block, with its output in ``log``."""
        with log.open("wb") as output, log.with_suffix(".errors").open("wb") as errors:
            process = subprocess.Popen(self.command(*words), stdout=output, stderr=errors, cwd=log.parent)
            try:
                yield
            finally:
                process.terminate()
                process.wait()


class Machine:
    """One machine: a disk over a generation's image, a NoCloud seed, a console log, a guest agent."""

    def __init__(
        self,
        segment: Segment,
        directory: Path,
        number: int,
        *,
        generation: machine_image.Generation = machine_image.FORKY,
        cpus: int = 2,
        memory: int = 4096,
        disk: str = machine_image.DISK,
    ) -> None:
        """Place the machine's files in ``directory``; ``number`` is the last byte of its address.

        ``disk`` is one of its generation's: with the first-boot programs, or ``machine_image.PLAIN_DISK``.
        """
        self.segment = segment
        self.directory = directory
        self.number = number
        self.address = f"{PREFIX}.{number}"
        self.mac = f"52:54:00:00:00:{number:02x}"
        self.cpus = cpus
        self.memory = memory
        self.image = machine_image.machine_image(generation)
        self.disk = disk
        self.pid: int | None = None  # of the QEMU that was started last, unless its power was cut
        self.powered_on = 0.0
        self.panics = 0
        self.is_restarting = False
        self.from_network = False
        self.options: tuple[str, ...] = ()
        directory.mkdir(parents=True, exist_ok=True)
        segment.machines.append(self)

    def new_disk(self, backing: Path | None = None) -> None:
        """Give the machine a disk on which nothing has ever been done: its generation's, or ``backing``."""
        (self.directory / qemu.DISK).unlink(missing_ok=True)
        disks.overlay(self.directory, disks.image(backing or self.image / self.disk))

    def seed(self, user_data: bytes, instance_id: str, hostname: str = "", vendor_data: str = "") -> None:
        """Write the NoCloud seed: what a provider would hand to cloud-init. ``hostname``: as the provider names it."""
        named = f"local-hostname: {hostname}\n" if hostname else ""
        files = {
            "user-data": user_data,
            "vendor-data": vendor_data.encode(),
            "meta-data": f"instance-id: {instance_id}\n{named}".encode(),
            "network-config": json.dumps(network.config(_SEGMENT, [self.address], self.mac, "eth0")).encode(),
        }
        (self.directory / qemu.SEED).write_bytes(iso(files))

    def remove_seed(self) -> None:
        """Put an empty disc in the seed's place: at the next power-on cloud-init finds no data source."""
        (self.directory / qemu.SEED).write_bytes(iso({}, "empty"))

    def power_on(self, *options: str) -> None:
        """Start QEMU with further ``options``, which a panic does not take away; the console log is appended to.

        With ``from_network`` the machine has no seed, and its firmware, which is QEMU's iPXE, starts from the network.
        """
        assert self.pid is None, "it is on"
        self.options = options
        if not (self.directory / qemu.DISK).exists():
            self.new_disk()
        self.agent_socket.unlink(missing_ok=True)
        hardware = Hardware(host().accelerator, self.cpus, self.memory, self.mac, disk="nvme")
        if self.from_network:
            hardware = replace(hardware, drives=(), starts_from_network=True)
        else:
            kernel = str(self.image / machine_image.KERNEL)
            hardware = replace(hardware, kernel=kernel, append=f"{ROOT} {KERNEL_ARGUMENTS}")
        words = qemu.command(
            hardware,
            self.directory,
            f"tap,id=net,ifname={self.segment.tap(self.number)},script=no,downscript=no",
            "-no-reboot",
            *("-chardev", f"socket,id=agent,path={self.agent_socket},server=on,wait=off"),
            *("-device", "virtio-serial", "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
            *options,
        )
        self.powered_on = time.monotonic()
        processes.start(self.segment.command(*words), self.directory)
        self.pid = processes.running_pid(self.directory)
        assert self.pid, f"QEMU of {self.directory.name} has ended: {self.console()[-4000:]}"
        threading.Thread(target=self._watch, args=(self.pid,), daemon=True).start()

    def kill(self) -> None:
        """Cut the power."""
        self.pid = None
        processes.kill(self.directory)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the machine's QEMU, if it runs."""
        if pid := processes.running_pid(self.directory):
            os.kill(pid, number)

    @property
    def console_log(self) -> Path:
        """Return the path of everything the console ever showed."""
        return self.directory / qemu.CONSOLE

    @property
    def agent_socket(self) -> Path:
        """Return the guest agent's socket."""
        return self.directory / "agent.sock"

    def console(self) -> str:
        """Return everything the console has shown."""
        return self.console_log.read_text(encoding="utf-8", errors="replace") if self.console_log.exists() else ""

    def _watch(self, pid: int) -> None:
        """Power on again a machine whose kernel has panicked, as its owner would.

        QEMU's translator, with several threads, sometimes runs into an instruction that the guest's kernel is just
        patching (seen in ``nf_ct_get_id`` and ``ip_rcv``, when kube-proxy sets its first rules), or hangs before the
        kernel's first word. To what runs on the machine that is one more power cut.
        """
        before = len(self.console())
        if not processes.has_ended(pid, scaled(_SILENCE)):
            if self.pid == pid and len(self.console()) == before:
                with self.console_log.open("a", encoding="utf-8") as console:
                    console.write(f"nothing in {scaled(_SILENCE):.0f} s: taken for a Kernel panic\n")
                processes.kill(self.directory)
            processes.has_ended(pid, math.inf)
        if self.pid == pid and self._has_panicked():
            self.panics += 1
            report(f"the kernel of {self.directory.name} panicked; powered on again")
            self.pid, self.is_restarting = None, True
            with self.console_log.open("a", encoding="utf-8") as console:
                console.write("\n" * _PANIC_CHARACTERS)
            try:
                self.power_on(*self.options)
            finally:
                self.is_restarting = False

    def _has_panicked(self) -> bool:
        return "Kernel panic" in self.console()[-_PANIC_CHARACTERS:]

    def _is_off(self) -> bool:
        """Whether it has been switched off, or has switched itself off."""
        return not self._has_panicked() and not self.is_restarting and processes.running_pid(self.directory) is None

    def wait_for(self, what: str, probe: Callable[[], object], seconds: float, pause: float = 0.5) -> float:
        """Return the seconds since power-on when ``probe()`` is true, looking every ``pause`` seconds.

        After ``seconds``, longer on a slow host, it fails with the console's end.
        """
        seconds = scaled(seconds)
        deadline = time.monotonic() + seconds
        while not probe():
            if self._is_off():
                raise AssertionError(
                    f"{self.directory.name} is off while waiting for {what}:\n{self.console()[-4000:]}"
                )
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.directory.name}: no {what} in {seconds:.0f} s:\n{self.console()[-4000:]}")
            time.sleep(pause)
        return time.monotonic() - self.powered_on

    def shell(self, script: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a shell script as root inside the machine, by its guest agent, and return what it printed.

        ``timeout`` is longer on a slow host. After a kernel's panic the script runs again from its beginning.
        """
        deadline = time.monotonic() + scaled(timeout)
        panics = self.panics
        run = {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True}
        pid = self._agent("guest-exec", run, deadline)["pid"]
        while True:
            try:
                state = self._agent("guest-exec-status", {"pid": pid}, deadline)
            except RuntimeError:
                if self.panics == panics:
                    raise
                return self.shell(script, timeout)
            if state["exited"]:
                out, err = (
                    base64.b64decode(state.get(key, "")).decode(errors="replace") for key in ("out-data", "err-data")
                )
                return subprocess.CompletedProcess(script, state.get("exitcode", -1), out, err)
            time.sleep(0.3)

    def _agent(self, command: str, arguments: dict[str, object], deadline: float) -> dict[str, Any]:
        """Return the guest agent's answer; one connection a question, repeated until the agent is up."""
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as link:
                    link.settimeout(30)
                    link.connect(str(self.agent_socket))
                    file = link.makefile("rwb")
                    # The 0xff ends a half-read question of an earlier connection; the number says whose answer it is.
                    number = time.monotonic_ns() % 10**9
                    sync = {"execute": "guest-sync-delimited", "arguments": {"id": number}}
                    file.write(b"\xff" + json.dumps(sync).encode() + b"\n")
                    file.flush()
                    answered = None
                    while answered != number:
                        line = file.readline()
                        if not line:
                            raise OSError("the guest agent is gone")
                        answered = json.loads(line.split(b"\xff")[-1] or b"{}").get("return")
                    file.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
                    file.flush()
                    answer = json.loads(file.readline())
                if "error" in answer:
                    raise RuntimeError(f"guest agent: {answer['error']}")
                return dict(answer["return"])
            except (OSError, ValueError):
                if self._is_off() or time.monotonic() > deadline:
                    raise
                time.sleep(1)


def _run(*words: str | Path) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr}")
    return done.stdout
