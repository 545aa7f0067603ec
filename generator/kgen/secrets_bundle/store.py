"""The bundle's file: found beside the cluster file, read, replaced in one step, locked."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kgen.errors import InputError, KgenError, Problem, ProblemsError
from kgen.secrets_bundle import document
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.nodes import RESTORE

MODE = 0o600
LOCK_PATIENCE_SECONDS = 3.0
_LOCK_POLL_SECONDS = 0.05
_SCRATCH_SUFFIX = ".secrets.yaml"  # what git is told to ignore
_AGE_HEADERS = ("age-encryption.org/v1", "-----BEGIN AGE ENCRYPTED FILE-----")


def path_for(cluster_file: Path) -> Path:
    """Return where the bundle of ``cluster_file`` is: ``prod.yaml`` → ``prod.secrets.yaml`` beside it."""
    return cluster_file.with_name(f"{cluster_file.stem}.secrets.yaml")


def read(path: Path) -> Bundle | None:
    """Return the bundle in ``path``, None when there is no such file. Its shape is checked, not its cryptography.

    Raises:
        ProblemsError: the file is damaged.
        InputError: it is encrypted.
        KgenError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if path.is_symlink():
            raise KgenError(f"{path} points to a file that does not exist") from None
        return None
    except OSError as error:
        raise KgenError(f"cannot read the secrets bundle {path}: {error.strerror}") from None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        message = "the secrets bundle is damaged: not UTF-8 text"
        raise ProblemsError([Problem(str(path), line, column, "", "B101", message, RESTORE)]) from None
    if text.startswith(_AGE_HEADERS):
        raise InputError(f"{path} is encrypted with age", f"decrypt it: age --decrypt --output {path} …")
    return document.parse(text, str(path))


def write(path: Path, bundle: Bundle) -> None:
    """Replace the file by ``bundle``, mode 0600, in one step: whatever happens, the old file or the new one is there.

    A symbolic link stays one; the file it points to is replaced. Call it while ``locked`` is held.

    Raises:
        KgenError: it cannot be written (disk full, read-only, no permission); the old file is untouched.
    """
    target = Path(os.path.realpath(path))
    try:
        _replace(target, document.dump(bundle).encode())
    except OSError as error:
        hint = f"{path} is as it was" if path.exists() else "nothing was written: make room or fix the permissions"
        raise KgenError(f"cannot write the secrets bundle {path}: {error.strerror}", hint) from None


def _replace(target: Path, content: bytes) -> None:
    _remove_leftovers(target)
    scratch = target.with_name(f"{_scratch_prefix(target)}{os.getpid()}{_SCRATCH_SUFFIX}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        scratch.replace(target)
    except BaseException:
        with suppress(OSError):
            scratch.unlink()
        raise
    _sync_directory(target.parent)


def _scratch_prefix(target: Path) -> str:
    return f".{target.name.removesuffix('.secrets.yaml')}.new-"


def _remove_leftovers(target: Path) -> None:
    """Remove what a killed kgen left: it holds keys. Nobody else is writing, as the lock is held."""
    for path in target.parent.iterdir():
        if path.name.startswith(_scratch_prefix(target)) and path.name.endswith(_SCRATCH_SUFFIX):
            path.unlink()


def _sync_directory(directory: Path) -> None:
    """Make the rename last through a power cut; some file systems cannot, and it is then as good as it gets."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on the bundle's directory: who reads, decides and writes does it inside.

    The lock ends with the process, and needs no right to write.

    Raises:
        KgenError: another kgen holds it for longer than ``LOCK_PATIENCE_SECONDS``, or there is no such directory.
    """
    directory = Path(os.path.realpath(path)).parent
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise KgenError(f"cannot open the directory {directory}: {error.strerror}") from None
    try:
        _acquire(descriptor, directory)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, directory: Path) -> None:
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise KgenError(f"another kgen is at work in {directory}", "wait until it is done") from None
            time.sleep(_LOCK_POLL_SECONDS)
        except OSError as error:
            hint = "keep the cluster file on a local file system"
            raise KgenError(f"cannot lock the directory {directory}: {error.strerror}", hint) from None
        else:
            return
