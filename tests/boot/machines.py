"""Whole machines under QEMU, on a network segment that exists only for them.

The segment is a network namespace with a bridge; whoever looks at the machines from outside does so from inside it
(``Segment.run``). Commands inside a machine go through QEMU's guest agent, which the test image carries. Needs root.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.boot.host import KERNEL_ARGUMENTS, ROOT, host, report, scaled
from tests.components import machine_image

PREFIX = "10.88.0"
GATEWAY = f"{PREFIX}.1"
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
        self.cpus = cpus
        self.memory = memory
        self.image = machine_image.machine_image(generation)
        self.disk = disk
        self.process: subprocess.Popen[bytes] | None = None
        self.powered_on = 0.0
        self.panics = 0
        self.from_network = False
        directory.mkdir(parents=True, exist_ok=True)
        segment.machines.append(self)

    def new_disk(self, backing: Path | None = None) -> None:
        """Give the machine a disk on which nothing has ever been done: its generation's, or ``backing``."""
        disk = self.directory / "disk.qcow2"
        disk.unlink(missing_ok=True)
        backing = backing or self.image / self.disk
        form = json.loads(_run("qemu-img", "info", "--output=json", backing))["format"]
        _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", form, "-b", backing, disk)

    def seed(self, user_data: bytes, instance_id: str, hostname: str = "", vendor_data: str = "") -> None:
        """Write the NoCloud seed: what a provider would hand to cloud-init. ``hostname``: as the provider names it."""
        folder = self.directory / "seed"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "user-data").write_bytes(user_data)
        (folder / "vendor-data").write_text(vendor_data, encoding="utf-8")
        named = f"local-hostname: {hostname}\n" if hostname else ""
        (folder / "meta-data").write_text(f"instance-id: {instance_id}\n{named}", encoding="utf-8")
        network = {
            "version": 2,
            "ethernets": {
                "eth0": {
                    "addresses": [f"{self.address}/24"],
                    "routes": [{"to": "0.0.0.0/0", "via": GATEWAY}],
                    "nameservers": {"addresses": [GATEWAY]},
                }
            },
        }
        (folder / "network-config").write_text(json.dumps(network), encoding="utf-8")
        self._write_seed(folder, "cidata")

    def remove_seed(self) -> None:
        """Put an empty disc in the seed's place: at the next power-on cloud-init finds no data source."""
        folder = self.directory / "empty"
        folder.mkdir()
        self._write_seed(folder, "empty")

    def _write_seed(self, folder: Path, label: str) -> None:
        image = self.directory / "seed.iso"
        _run("genisoimage", "-quiet", "-output", image, "-volid", label, "-joliet", "-rock", folder)

    def power_on(self, *options: str) -> None:
        """Start QEMU with further ``options``; the console log is appended to.

        With ``from_network`` the machine has no seed, and its firmware, which is QEMU's iPXE, starts from the network.
        """
        assert self.process is None, "it is on"
        if not (self.directory / "disk.qcow2").exists():
            self.new_disk()
        tap = self.segment.tap(self.number)
        self.agent_socket.unlink(missing_ok=True)
        words = [
            *("qemu-system-x86_64", *host().qemu_options),
            *("-smp", str(self.cpus), "-m", str(self.memory), "-display", "none", "-no-reboot", "-nodefaults"),
            *("-chardev", f"file,id=console,path={self.console_log},append=on", "-serial", "chardev:console"),
            *("-chardev", f"socket,id=agent,path={self.agent_socket},server=on,wait=off"),
            *("-device", "virtio-serial", "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
            *("-drive", f"file={self.directory / 'disk.qcow2'},if=none,id=root,format=qcow2,cache=unsafe"),
            *("-device", "nvme,serial=root,drive=root"),
            *(("-boot", "n") if self.from_network else self._kernel_and_seed()),
            *("-netdev", f"tap,id=net,ifname={tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=net,mac=52:54:00:00:00:{self.number:02x}"),
            *options,
        ]
        with (self.directory / "qemu.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.segment.command(*words), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self.powered_on = time.monotonic()
        threading.Thread(target=self._watch, args=(self.process,), daemon=True).start()

    def _kernel_and_seed(self) -> tuple[str, ...]:
        return (
            *("-kernel", str(self.image / machine_image.KERNEL), "-append", f"{ROOT} {KERNEL_ARGUMENTS}"),
            *("-drive", f"file={self.directory / 'seed.iso'},if=virtio,format=raw,readonly=on"),
        )

    def kill(self) -> None:
        """Cut the power."""
        process, self.process = self.process, None
        if process:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the machine's QEMU, if it runs."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    @property
    def console_log(self) -> Path:
        """Return the path of everything the console ever showed."""
        return self.directory / "console.log"

    @property
    def agent_socket(self) -> Path:
        """Return the guest agent's socket."""
        return self.directory / "agent.sock"

    def console(self) -> str:
        """Return everything the console has shown."""
        return self.console_log.read_text(encoding="utf-8", errors="replace") if self.console_log.exists() else ""

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Power on again a machine whose kernel has panicked, as its owner would.

        QEMU's translator, with several threads, sometimes runs into an instruction that the guest's kernel is just
        patching (seen in ``nf_ct_get_id`` and ``ip_rcv``, when kube-proxy sets its first rules), or hangs before the
        kernel's first word. To what runs on the machine that is one more power cut.
        """
        before = len(self.console())
        try:
            process.wait(timeout=scaled(_SILENCE))
        except subprocess.TimeoutExpired:
            if self.process is process and len(self.console()) == before:
                with self.console_log.open("a", encoding="utf-8") as console:
                    console.write(f"nothing in {scaled(_SILENCE):.0f} s: taken for a Kernel panic\n")
                process.kill()
            process.wait()
        if self.process is process and self._has_panicked():
            self.panics += 1
            report(f"the kernel of {self.directory.name} panicked; powered on again")
            self.process = None
            with self.console_log.open("a", encoding="utf-8") as console:
                console.write("\n" * _PANIC_CHARACTERS)
            self.power_on()

    def _has_panicked(self) -> bool:
        return "Kernel panic" in self.console()[-_PANIC_CHARACTERS:]

    def _is_off(self) -> bool:
        """Whether it has been switched off, or has switched itself off."""
        process = self.process
        return not self._has_panicked() and (process is None or process.poll() is not None)

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
