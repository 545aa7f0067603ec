"""What a disk refuses, as sentences; and a file written in one piece."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kgen.errors import KgenError

_WHOLE_DISK = {
    errno.ENOSPC: ("the disk is full", "free some space, or choose another place with --output"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, or choose another place with --output"),
    errno.EROFS: ("the file system is read-only", "choose another place with --output"),
}
_ONE_FILE = {
    errno.EACCES: ("permission denied", "look at the owner and mode of the file and the directories above it"),
    errno.EPERM: ("operation not permitted", "look at the owner, mode and attributes of the file"),
    errno.ENOTDIR: ("something on this path is not a directory", ""),
    errno.ENAMETOOLONG: ("the name is too long for this file system", ""),
}


@contextlib.contextmanager
def disk_errors(path: Path | str) -> Iterator[None]:
    """Turn an OSError inside the block into a KgenError that names its file, ``path`` where the whole disk refuses."""
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        if number in _WHOLE_DISK:
            reason, hint = _WHOLE_DISK[number]
            raise KgenError(f"{path}: {reason}", hint) from error
        reason, hint = _ONE_FILE.get(number, (error.strerror or str(error), ""))
        raise KgenError(f"{os.fsdecode(error.filename or path)}: {reason}", hint) from error


def write_new(path: Path | str, content: bytes, mode: int) -> None:
    """Write a file that must not exist yet; its mode is right from the start or narrower, never wider."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode & 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(fd, rest) :]
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def create_file(path: Path, content: bytes) -> None:
    """Create a file with the mode the umask gives: all of it, or none. Never replaces one.

    Raises:
        FileExistsError: something has this name.
        OSError: it cannot be written.
    """
    if path.is_symlink() or path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    with _beside(path, content, 0o666 & ~_umask()) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            temporary.rename(path)


def replace_file(path: Path, content: bytes) -> None:
    """Create or replace a file, all of it or none; mode and a link that points to it stay.

    Raises:
        OSError: it cannot be written; it is as it was.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        mode = 0o666 & ~_umask()
    with _beside(target, content, mode) as temporary:
        temporary.replace(target)


@contextlib.contextmanager
def _beside(path: Path, content: bytes, mode: int) -> Iterator[Path]:
    """Yield a file with this content in the directory of ``path``; it does not outlive the block."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_new(temporary, content, mode)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
