"""Files on this machine: plain files only, atomic writes, one lock, and errors of the disk as sentences."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from kgen.errors import KgenError

PATIENCE_SECONDS = 3.0
_POLL_SECONDS = 0.02

_WHOLE_DISK = {
    errno.ENOSPC: ("the disk is full", "free some space, or choose another place with --output"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, or choose another place with --output"),
    errno.EROFS: ("the file system is read-only", "choose another place with --output"),
}
_ONE_FILE = {
    errno.EACCES: ("permission denied", "check the owner and mode of the file and of the directories above it"),
    errno.EPERM: ("operation not permitted", "check the owner, mode and attributes of the file"),
    errno.ENOTDIR: ("something on this path is not a directory", ""),
    errno.EISDIR: ("is a directory", "move it away and try again"),
    errno.ENAMETOOLONG: ("the name is too long for this file system", ""),
    errno.ENOLCK: ("cannot be locked", "keep it on a local file system"),
}
_NOT_PLAIN = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextlib.contextmanager
def disk_errors(path: Path | str) -> Iterator[None]:
    """Turn an OSError into a KgenError that names the file, or ``path`` if the whole file system refuses."""
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        if number in _WHOLE_DISK:
            reason, hint = _WHOLE_DISK[number]
            raise KgenError(f"{path}: {reason}", hint) from error
        reason, hint = _ONE_FILE.get(number, (error.strerror or str(error), ""))
        raise KgenError(f"{os.fsdecode(error.filename or path)}: {reason}", hint) from error


def read_plain_file(path: Path, most: int = -1, *, follow: bool = True) -> bytes:
    """Return the content of a plain file, at most ``most`` bytes. Without ``follow`` a link to one is refused.

    A pipe or a device is refused before it is opened: opening it could block or have effects.

    Raises:
        OSError: it cannot be read or is no plain file.
    """
    kind = stat.S_IFMT(path.stat(follow_symlinks=follow).st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"it is {_NOT_PLAIN.get(kind, 'something else')}, not a plain file", str(path))
    with path.open("rb") as file:
        return file.read(most)


def write_new(path: Path | str, content: bytes, mode: int, *, sync: bool = False) -> None:
    """Write a file that must not exist yet. Its mode is right or narrower from the start. ``sync`` waits for the disk.

    Raises:
        OSError: something has this name, or the file cannot be written. The part that was written stays.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode & 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(fd, rest) :]
        os.fchmod(fd, mode)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def create_file(path: Path, content: bytes, mode: int | None = None) -> None:
    """Create a file, or nothing when it fails. Without ``mode`` the umask decides. Never replaces one.

    Raises:
        FileExistsError: something has this name.
        OSError: it cannot be written.
    """
    try:
        write_new(path, content, _new_mode() if mode is None else mode, sync=True)
    except FileExistsError:
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace_file(path: Path, content: bytes, mode: int | None = None) -> None:
    """Create or replace a file, all of it or none, also in a power cut. A link to the file stays a link.

    Without ``mode`` it keeps its mode. Call it while ``locked`` is held on its directory.

    Raises:
        OSError: it cannot be written; it is as it was.
    """
    target = Path(os.path.realpath(path))
    if mode is None:
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else _new_mode()
    temporary = target.with_name(f".kgen-new.{target.name}")  # the name's end keeps it out of git, as the target
    try:
        temporary.unlink(missing_ok=True)  # left by a kgen that was killed
        write_new(temporary, content, mode, sync=True)
        temporary.replace(target)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # nobody knows the temporary name
        raise
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(target.parent)


def sync_directory(directory: Path) -> None:
    """Make renames in ``directory`` last through a power cut, on file systems that can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock on ``directory``. Reading, deciding and writing there belong inside.

    Raises:
        KgenError: another kgen holds the lock for longer than ``PATIENCE_SECONDS``, or the directory is missing.
    """
    with disk_errors(directory):
        descriptor = lock_directory(Path(os.path.realpath(directory)))
    try:
        yield
    finally:
        os.close(descriptor)


def lock_directory(directory: Path) -> int:
    """Lock ``directory`` and return the descriptor: closing it, or the end of the process, gives the lock back.

    The lock needs no permission to write.

    Raises:
        KgenError: another kgen holds it for longer than ``PATIENCE_SECONDS``.
        OSError: the directory is missing, was removed meanwhile, or cannot be locked.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), directory.stat()):
                return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise KgenError(f"another kgen is at work in {directory}", "wait until it is done") from None
            time.sleep(_POLL_SECONDS)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def refuse_foreign(directory: Path) -> None:
    """Refuse a link, a file, or a directory of another user: its owner could decide where kgen's files go.

    A missing directory is accepted, and so is one that root owns.
    """
    try:
        found = os.lstat(directory)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        hint = "replace it by a directory, or give the directory it points to with --output"
        raise KgenError(f"{directory} is a symbolic link; nothing was written", hint)
    if not stat.S_ISDIR(found.st_mode):
        raise KgenError(f"{directory} is not a directory; nothing was written", "move it away and try again")
    if found.st_uid not in (os.geteuid(), 0):
        hint = f"run kgen as its owner, or make it yours: chown -R {os.geteuid()} {directory}"
        raise KgenError(f"{directory} belongs to another user (uid {found.st_uid}); nothing was written", hint)


def _new_mode() -> int:
    """Return the mode that the umask gives a new file."""
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask
