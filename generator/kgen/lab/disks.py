"""A lab's disks: the image, which is only read, and what each machine writes over it."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kgen.errors import InputError, KgenError
from kgen.lab.qemu import DISK, IMAGE_TOOL

_FORMATS = ("qcow2", "raw")
_MEMORY = Path("/proc/meminfo")
_SECTOR_BYTES = 512
_BOOT_SECTOR_END = b"\x55\xaa"


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its absolute path, its format, and the bytes that a machine sees."""

    path: Path
    format: str
    size: int


def image(path: Path) -> Image:
    """Return the image at ``path``.

    Raises:
        InputError: it is no disk image, or an image that it needs is missing.
    """
    resolved = _plain(path, "an image")
    done = _tool("info", "--output=json", "--backing-chain", str(resolved))
    try:
        found = json.loads(done.stdout)[0] if done.returncode == 0 else {}
    except (ValueError, LookupError):
        found = {}
    form = str(found.get("format", ""))
    if form not in _FORMATS:
        reason = f"its format is {form}" if form else _first_line(done.stderr)
        raise InputError(f"{path} cannot be used as an image: {reason}", "give a disk image in the format qcow2 or raw")
    return Image(resolved, form, int(found["virtual-size"]))


def require_boot_sector(image: Image) -> None:
    """Check that QEMU's firmware starts the image, which it does if the first sector ends with two certain bytes.

    A file that is no disk lacks them, too: qemu-img takes every file for a raw image.

    Raises:
        InputError: it does not.
    """
    content = _first_sector(image)
    if len(content) != _SECTOR_BYTES or not content.endswith(_BOOT_SECTOR_END):
        hint = "a download must be complete and unpacked; an image without a boot loader needs --kernel and --initrd"
        raise InputError(f"{image.path} does not start: it has no boot sector", hint)


def _first_sector(image: Image) -> bytes:
    if image.format == "raw":
        with image.path.open("rb") as file:
            return file.read(_SECTOR_BYTES)
    with tempfile.TemporaryDirectory(prefix="kgen-") as scratch:
        sector = Path(scratch) / "sector"
        words = ("-f", image.format, "-O", "raw", f"bs={_SECTOR_BYTES}", "count=1", f"if={image.path}", f"of={sector}")
        done = _tool("dd", *words)
        if done.returncode:
            raise InputError(f"{image.path} cannot be read: {_first_line(done.stderr)}")
        return sector.read_bytes()


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
        reason = _first_line(done.stderr).removeprefix(f"{disk}: ")
        hint = "check the space on this file system: df -h" if os.strerror(errno.ENOSPC) in reason else ""
        raise KgenError(f"cannot make {disk}: {reason}", hint)


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
        kind = stat.S_IFMT(resolved.stat().st_mode)
        if kind in (stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK):  # opening a pipe waits for its other end
            raise OSError("it is no file")
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
