"""A lab's disks: the image, which is only read, and what each machine writes over it."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kgen.errors import InputError, KgenError
from kgen.lab.qemu import DISK, IMAGE_TOOL

_FORMATS = ("qcow2", "raw")
_MEMORY = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its absolute path, its format, and the bytes that a machine sees."""

    path: Path
    format: str
    size: int


def image(path: Path) -> Image:
    """Return the image at ``path``.

    Raises:
        InputError: it is no disk image.
    """
    resolved = _plain(path, "an image")
    done = _tool("info", "--output=json", str(resolved))
    try:
        found = json.loads(done.stdout) if done.returncode == 0 else {}
    except ValueError:
        found = {}
    form = str(found.get("format", ""))
    if form not in _FORMATS:
        reason = f"its format is {form}" if form else _first_line(done.stderr)
        raise InputError(f"{path} cannot be used as an image: {reason}", "give a disk image in the format qcow2 or raw")
    return Image(resolved, form, int(found["virtual-size"]))


def boot_file(path: Path) -> str:
    """Return the absolute path of a kernel or an initrd.

    Raises:
        InputError: it is no file that can be read.
    """
    return str(_plain(path, "a file"))


def overlay(directory: Path, over: Image, size: int = 0) -> None:
    """Make the disk of the machine in ``directory``. It holds what differs from the image, and has at least ``size``.

    Raises:
        KgenError: qemu-img fails.
    """
    disk = directory / DISK
    words = ("create", "-q", "-f", "qcow2", "-F", over.format, "-b", str(over.path))
    _make(disk, *words, str(disk), str(max(size, over.size)))
    disk.chmod(0o600)


def flatten(directory: Path, target: Path) -> None:
    """Write the disk of the machine in ``directory`` to ``target``, with what it has from its image.

    Raises:
        KgenError: qemu-img fails.
    """
    _make(target, "convert", "-q", "-O", "qcow2", str(directory / DISK), str(target))


def _make(disk: Path, *words: str) -> None:
    done = _tool(*words)
    if done.returncode:
        raise KgenError(f"cannot make {disk}: {_first_line(done.stderr)}", "check the space on this file system: df -h")


def available_memory() -> int:
    """Return the MiB of memory that programs can still have; 0 if this computer does not say."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", _MEMORY.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) // 1024 if found else 0


def _plain(path: Path, what: str) -> Path:
    try:
        resolved = path.resolve(strict=True)
        with resolved.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be used as {what}: {(error.strerror or str(error)).lower()}") from None
    return resolved


def _tool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([IMAGE_TOOL, *words], capture_output=True, text=True)


def _first_line(text: str) -> str:
    line = next(iter(text.strip().splitlines()), "it gives no reason")
    return line.removeprefix(f"{IMAGE_TOOL}: ")
