"""First process of a machine (PID 1 of its namespaces): mounts what a machine has, then lives as long as its stdin.

Started by ``machines.py`` with a JSON specification as its only argument. When it ends, for whatever reason, the
kernel ends every other process of the machine: nothing survives a test run that was killed.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

DEVICES = ("null", "zero", "random", "urandom", "full")


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def bind(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch()
    mount("--bind", source, target)


def set_up(root: Path, hostname: str, programs: list[str], images: dict[str, str]) -> None:
    """Give the machine its name, its own /proc and /run, and in its root directory what a running system has there."""
    socket.sethostname(hostname)
    mount("-t", "proc", "proc", "/proc")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for image, program in images.items():
        bind(Path(program), Path("/run/images", image, "usr/local/bin", Path(program).name))
    for directory in ("proc", "dev", "tmp", "run", "usr/local/bin", "usr/bin"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    mount("-t", "proc", "proc", root / "proc")
    mount("-t", "tmpfs", "tmpfs", root / "dev")
    mount("-t", "tmpfs", "tmpfs", root / "usr/local/bin")
    if (root / "etc/hosts").exists():
        mount("--bind", root / "etc/hosts", "/etc/hosts")  # for programs that run outside of the root directory
    for device in DEVICES:
        bind(Path("/dev", device), root / "dev" / device)
    for program in programs:
        bind(Path(program), root / "usr/local/bin" / Path(program).name)


def main() -> None:
    outer_pid = Path("/proc/self").readlink()  # /proc is still the one of whoever started the machine
    specification = json.loads(sys.argv[1])
    if specification:
        set_up(Path(specification.pop("root")), **specification)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans of the machine end up here: the kernel reaps them
    sys.stdout.write(f"{outer_pid}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()


main()
