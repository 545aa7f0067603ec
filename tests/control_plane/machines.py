"""Machines without virtual machines: a bridge, and per machine its own network, host name, mounts and processes.

Everything happens in one user namespace, so no root is needed where user namespaces are allowed. A machine is a set of
Linux namespaces held by ``machine_init.py`` and a root directory; switching it off ends all of its processes at once,
as a power cut does, and keeps the directory.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

INIT = Path(__file__).with_name("machine_init.py")
PREFIX_LENGTHS = {4: 24, 6: 64}
PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
T = TypeVar("T")
Arguments = Sequence[str | Path]


def until(what: str, probe: Callable[[], T], *, seconds: float = 60, pause: float = 0.1) -> T:
    """Return the first true value of ``probe()``; fail naming ``what`` when there was none for ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {seconds:g} s")
        time.sleep(pause)


class Running:
    """A program inside a machine: ends with everything it started in its session."""

    def __init__(self, command: list[str], stdout: int | None, env: Mapping[str, str] | None) -> None:
        self.command = command
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT if stdout is not None else None,
            text=True,
            start_new_session=True,
            env={**os.environ, "PATH": PATH, **(env or {})},
        )

    def wait(self, seconds: float) -> tuple[int, str]:
        """Return (exit status, output); a program that takes longer is killed and the test fails."""
        try:
            output, _ = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            output = self.kill()
            raise AssertionError(f"{self.command} ran longer than {seconds:g} s\n{output[-4000:]}") from None
        return self._process.returncode, output or ""

    def alive(self) -> bool:
        """Return whether it still runs."""
        return self._process.poll() is None

    def kill(self) -> str:
        """SIGKILL it and return what it had printed."""
        if self.alive():
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdout is None or self._process.stdout.closed:
            self._process.wait()
            return ""
        return self._process.communicate()[0]


class _Namespaces:
    """Namespaces held by one ``machine_init.py`` process."""

    def __init__(self, command: Arguments, specification: Mapping[str, object]) -> None:
        self._holder = subprocess.Popen(
            [*map(str, command), sys.executable, "-I", str(INIT), json.dumps(specification)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        answer = self._holder.stdout.readline()
        if not answer:
            _, error = self._holder.communicate()
            raise RuntimeError(f"no namespaces: {error.strip()} (are user namespaces allowed here?)")
        self.pid = answer.strip()

    def enter(self, *namespaces: str, user: bool = True) -> list[str]:
        """Return the command line that runs what follows it inside these namespaces. ``user``: the user namespace."""
        kinds = [f"--{name}" for name in (*(["user"] if user else []), *namespaces)]
        return ["nsenter", "--target", self.pid, "--preserve-credentials", *kinds, "--"]

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(int(self.pid), signal.SIGKILL)
        self._holder.communicate()


@dataclass
class Machine:
    """One machine: a name, its addresses on the bench's bridge with commas between them, and a root directory.

    ``programs`` can be run from /usr/local/bin below the root; ``images`` (name:tag -> program) are what its kubelet
    finds preloaded.
    """

    name: str
    address: str
    root: Path
    programs: Sequence[Path] = ()
    images: Mapping[str, Path] = field(default_factory=dict)
    _bench: Bench | None = field(default=None, repr=False)
    _namespaces: _Namespaces | None = field(default=None, repr=False)
    _running: list[Running] = field(default_factory=list, repr=False)

    @property
    def addresses(self) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
        """Return the addresses."""
        return [ipaddress.ip_address(each) for each in self.address.split(",")]

    def power_on(self) -> None:
        """Start the machine with an empty /run; its root directory is as it was left."""
        assert self._bench is not None
        assert self._namespaces is None, f"{self.name} is on"
        shutil.rmtree(self.root / "run", ignore_errors=True)
        self._namespaces = self._bench.namespaces(self)

    def power_off(self) -> None:
        """End every process of the machine at once."""
        if self._namespaces is not None:
            self._namespaces.end()
            self._namespaces = None
        for running in self._running:
            running.kill()
        self._running.clear()

    def start(
        self,
        command: Arguments,
        *,
        chroot: bool = False,
        stdout: int | None = subprocess.PIPE,
        env: Mapping[str, str] | None = None,
        as_host_root: bool = False,
    ) -> Running:
        """Start a program on the machine; ``chroot`` makes the machine's root directory its ``/``.

        Either way the machine's own ``programs`` come first: the host may have another kubectl, or none.
        ``as_host_root`` is for a program to which the machine's user namespace denies something, and needs root.
        """
        assert self._namespaces is not None, f"{self.name} is off"
        inside = ["chroot", str(self.root)] if chroot else []
        entered = self._namespaces.enter("mount", "uts", "net", "pid", user=not as_host_root)
        path = PATH if chroot else f"{self.root}/usr/local/bin:{PATH}"
        running = Running([*entered, *inside, *map(str, command)], stdout, {"PATH": path, **(env or {})})
        self._running.append(running)
        return running

    def run(
        self, command: Arguments, *, chroot: bool = False, seconds: float = 60, env: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run a program on the machine and return (exit status, what it printed on stdout and stderr)."""
        return self.start(command, chroot=chroot, env=env).wait(seconds)

    def check(
        self, command: Arguments, *, chroot: bool = False, seconds: float = 60, env: Mapping[str, str] | None = None
    ) -> str:
        """Run a program that must succeed and return what it printed."""
        status, output = self.run(command, chroot=chroot, seconds=seconds, env=env)
        assert status == 0, f"on {self.name}: {' '.join(map(str, command))} exited {status}\n{output[-4000:]}"
        return output

    def unplug(self) -> None:
        """Take the network cable out."""
        self.check(["ip", "link", "set", "eth0", "down"])

    def plug(self) -> None:
        """Put the network cable back."""
        self.check(["ip", "link", "set", "eth0", "up"])
        for address in self.addresses:
            self.check(["ip", f"-{address.version}", "route", "replace", "default", "dev", "eth0"])


class Bench:
    """A bridge and the machines on it. Leaving the context ends all of them."""

    def __init__(self) -> None:
        self._machines: list[Machine] = []
        self._links = 0

    def __enter__(self) -> Self:
        """Make the bridge."""
        command = ["unshare", "--map-root-user", "--net", "--mount", "--fork", "--kill-child"]
        self._bridge = _Namespaces(command, {})
        self._ip("link", "add", "bridge", "type", "bridge")
        self._ip("link", "set", "bridge", "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every machine, then the bridge."""
        for machine in self._machines:
            machine.power_off()
        self._bridge.end()

    def add(self, machine: Machine) -> Machine:
        """Put ``machine`` on the bench and switch it on."""
        machine._bench = self
        self._machines.append(machine)
        machine.power_on()
        return machine

    def connect(self, namespace: str, bridge: str) -> None:
        """Join this bench's bridge to one in a named network namespace; needs root."""
        outside = ["ip", "-n", namespace, "link"]
        ends = ["bench", "type", "veth", "peer", "name", "uplink", "netns", self._bridge.pid]
        subprocess.run([*outside, "add", *ends], check=True)
        subprocess.run([*outside, "set", "bench", "master", bridge, "up"], check=True)
        self._ip("link", "set", "uplink", "master", "bridge", "up")

    def namespaces(self, machine: Machine) -> _Namespaces:
        """Return fresh namespaces for ``machine``, connected to the bridge."""
        command = [*self._bridge.enter("net", "mount"), "unshare", "--net", "--uts", "--ipc", "--mount", "--pid"]
        made = _Namespaces(
            [*command, "--fork", "--kill-child"],
            {
                "root": str(machine.root),
                "hostname": machine.name,
                "programs": [str(path) for path in machine.programs],
                "images": {image: str(path) for image, path in machine.images.items()},
            },
        )
        self._links += 1  # a link of a machine switched off a moment ago may still be there
        link = f"link{self._links}"
        self._ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", made.pid)
        self._ip("link", "set", link, "master", "bridge", "up")
        inside = [*made.enter("net"), "ip"]
        subprocess.run([*inside, "link", "set", "lo", "up"], check=True)
        subprocess.run([*inside, "link", "set", "eth0", "up"], check=True)
        for address in machine.addresses:
            # Nobody else has the address, so IPv6 need not wait for an answer to this question.
            quick = ["nodad"] if address.version == 6 else []
            with_prefix = f"{address}/{PREFIX_LENGTHS[address.version]}"
            subprocess.run([*inside, "address", "add", with_prefix, "dev", "eth0", *quick], check=True)
            subprocess.run([*inside, f"-{address.version}", "route", "replace", "default", "dev", "eth0"], check=True)
        return made

    def _ip(self, *words: str) -> None:
        subprocess.run([*self._bridge.enter("net"), "ip", *words], check=True)
