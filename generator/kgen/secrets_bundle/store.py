"""The file of the secrets bundle: where it is, reading it, replacing it in one step, its lock."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

from kgen.errors import InputError, KgenError, Problem, ProblemsError
from kgen.output import disk
from kgen.secrets_bundle import format as document
from kgen.secrets_bundle.format import RESTORE
from kgen.secrets_bundle.model import Bundle

MODE = 0o600
_AGE_HEADERS = ("age-encryption.org/v1", "-----BEGIN AGE ENCRYPTED FILE-----")


def path_for(cluster_file: Path) -> Path:
    """Return where the bundle of ``cluster_file`` is: ``prod.yaml`` → ``prod.secrets.yaml`` beside it."""
    return cluster_file.with_name(f"{cluster_file.stem}.secrets.yaml")


def content(path: Path) -> bytes | None:
    """Return the content of the file, whatever it is; None if there is no such file.

    Raises:
        KgenError: it cannot be read.
    """
    try:
        return disk.read_plain_file(path)
    except FileNotFoundError:
        if path.is_symlink():
            raise KgenError(f"{path} points to a file that does not exist") from None
        return None
    except OSError as error:
        raise KgenError(f"cannot read the secrets bundle {path}: {error.strerror}") from None


def read(path: Path) -> Bundle | None:
    """Return the bundle in ``path``, None if there is no such file. Its shape is checked, not its cryptography.

    Raises:
        ProblemsError: the file is damaged.
        InputError: it is encrypted.
        KgenError: it cannot be read.
    """
    found = content(path)
    if found is None:
        return None
    try:
        text = found.decode()
    except UnicodeDecodeError as error:
        line = found.count(b"\n", 0, error.start) + 1
        column = error.start - found.rfind(b"\n", 0, error.start)
        message = "the secrets bundle is damaged: not UTF-8 text"
        raise ProblemsError([Problem(str(path), line, column, "", "B101", message, RESTORE)]) from None
    if text.startswith(_AGE_HEADERS):
        raise InputError(f"{path} is encrypted with age", f"decrypt it: age --decrypt --output {path} …")
    return document.parse(text, str(path))


def write(path: Path, bundle: Bundle, *, old: bytes | None = None) -> Path | None:
    """Replace the file by ``bundle``, mode 0600, in one step: if anything fails, the old file is still there.

    A symbolic link stays one; the file it points to is replaced. With ``old``, a file with this content is kept beside
    it, as ``prod.old-1.secrets.yaml``; its path is returned. Call it while ``locked`` is held.

    Raises:
        KgenError: it cannot be written (disk full, read-only, no permission); the old file is untouched.
    """
    copy = None
    try:
        copy = _keep(path, old) if old is not None else None
        disk.replace_file(path, document.dump(bundle).encode(), MODE)
    except OSError as error:
        if copy is not None:
            copy.unlink(missing_ok=True)
        hint = f"{path} is as it was" if path.exists() else "nothing was written: make room or fix the permissions"
        raise KgenError(f"cannot write the secrets bundle {path}: {error.strerror}", hint) from None
    return copy


def _keep(path: Path, old: bytes) -> Path:
    stem = path.name.removesuffix(".secrets.yaml")
    number = 1
    while os.path.lexists(copy := path.with_name(f"{stem}.old-{number}.secrets.yaml")):
        number += 1
    disk.create_file(copy, old, MODE)
    return copy


def locked(path: Path) -> AbstractContextManager[None]:
    """Return the lock on the bundle's directory: a verb that reads, decides and writes does it inside.

    Raises:
        KgenError: another kgen holds it, or there is no such directory.
    """
    return disk.locked(Path(os.path.realpath(path)).parent)
