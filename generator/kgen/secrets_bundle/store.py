"""The file of the secrets bundle: where it is, reading it, replacing it in one step, its lock."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from kgen.errors import InputError, KgenError, Problem, ProblemsError
from kgen.output import disk
from kgen.secrets_bundle import age, sops, unlocking
from kgen.secrets_bundle import format as document
from kgen.secrets_bundle.age import Key
from kgen.secrets_bundle.format import RESTORE
from kgen.secrets_bundle.model import Bundle

MODE = 0o600
PLAIN, AGE, SOPS = ".secrets.yaml", ".secrets.yaml.age", ".secrets.sops.yaml"
"""How the names of the file end. What is in it decides how it is read, not its name."""

Encryption = Literal["none", "age", "sops"]


def path_for(cluster_file: Path) -> Path:
    """Return where the bundle of ``cluster_file`` is: ``prod.yaml`` → ``prod.secrets.yaml``, or an encrypted file.

    Raises:
        InputError: there are two.
    """
    if not cluster_file.name:
        raise InputError(f"{cluster_file} is a directory", "give the cluster file inside it")
    return _only(cluster_file.with_name(cluster_file.stem))


def _only(stem: Path) -> Path:
    paths = [stem.with_name(stem.name + suffix) for suffix in (PLAIN, AGE, SOPS)]
    found = [path for path in paths if os.path.lexists(path)]
    if len(found) > 1:
        hint = f"keep the right one, and move the other away: `ls -l {found[0]} {found[1]}` shows which is newer"
        raise InputError(f"there are two secrets bundles: {found[0]} and {found[1]}", hint)
    return found[0] if found else paths[0]


def _stem(path: Path) -> tuple[Path, str]:
    """Return the path of a bundle without the end of its name, and that end."""
    suffix = next((it for it in (AGE, SOPS, PLAIN) if path.name.endswith(it)), "")
    return path.with_name(path.name.removesuffix(suffix)), suffix


def named(path: Path, suffix: str) -> Path:
    """Return the path of the bundle in ``path`` with another end of its name."""
    stem, _ = _stem(path)
    return stem.with_name(stem.name + suffix)


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


def encryption_of(content: bytes) -> Encryption:
    """Return what the content of a bundle's file is encrypted with."""
    if age.is_encrypted(content):
        return "age"
    return "sops" if sops.is_encrypted(content) else "none"


def read(path: Path) -> Bundle | None:
    """Return the bundle in ``path``, None if there is no such file. Its shape is checked, not its cryptography.

    Raises:
        ProblemsError: the file is damaged.
        InputError: it is encrypted, and cannot be decrypted.
        KgenError: it cannot be read.
    """
    found = content(path)
    return None if found is None else _parse(_decrypted(path, found), path)


def _decrypted(path: Path, found: bytes) -> bytes:
    encryption = encryption_of(found)
    if encryption == "age":
        return age.decrypt(found, unlocking.key_for(found, str(path)), str(path))
    return sops.decrypt(path) if encryption == "sops" else found


def _parse(found: bytes, path: Path) -> Bundle:
    try:
        text = found.decode()
    except UnicodeDecodeError as error:
        line = found.count(b"\n", 0, error.start) + 1
        column = error.start - found.rfind(b"\n", 0, error.start)
        message = "the secrets bundle is damaged: not UTF-8 text"
        raise ProblemsError([Problem(str(path), line, column, "", "B101", message, RESTORE)]) from None
    return document.parse(text, str(path))


def write(path: Path, bundle: Bundle, *, old: bytes | None = None) -> Path | None:
    """Replace the file by ``bundle``, mode 0600, in one step: if anything fails, the old file is still there.

    A file of age stays one, for the same recipients or passphrase; it is left alone if it holds this bundle. A symbolic
    link stays one; the file it points to is replaced. With ``old``, a file with this content is kept beside it, as
    ``prod.old-1.secrets.yaml``; its path is returned. Call it while ``locked`` is held.

    Raises:
        InputError: the file there is encrypted, and cannot be decrypted, or kgen cannot encrypt like this.
        KgenError: it cannot be written (disk full, read-only, no permission); the old file is untouched.
    """
    before = content(path) if path.is_file() else None
    new = _like(path, before, bundle)
    if new == before and age.is_encrypted(new):
        return None
    copy = None
    with _writing(path):
        try:
            copy = _keep(path, old) if old is not None else None
            disk.replace_file(path, new, MODE)
        except OSError:
            if copy is not None:
                copy.unlink(missing_ok=True)
            raise
    return copy


def _like(path: Path, before: bytes | None, bundle: Bundle) -> bytes:
    """Return the new content of the file, encrypted like the one ``before``; the same bytes if they hold ``bundle``."""
    encryption = "none" if before is None else encryption_of(before)
    if before is None or encryption == "none":
        return document.dump(replace(bundle, recipients=())).encode()
    if encryption == "sops":
        raise InputError(
            f"{path} must change, and kgen only reads what SOPS has encrypted",
            "`kgen bundle decrypt CLUSTER_FILE`, then this command again, then encrypt with sops "
            "(docs/how-to/encrypt-the-bundle.md)",
        )
    key = unlocking.key_for(before, str(path))
    text = age.decrypt(before, key, str(path))
    recipients = _parse(text, path).recipients
    if not recipients and not key.passphrase:  # age itself has encrypted it
        raise InputError(
            f"{path} must change, and it does not say whom it is encrypted for",
            "name everybody who may decrypt it: `kgen bundle edit-recipients CLUSTER_FILE --add RECIPIENT`",
        )
    new = document.dump(replace(bundle, recipients=recipients)).encode()
    return before if new == text else age.encrypt(new, recipients, key)


def write_encrypted(path: Path, bundle: Bundle, recipients: Sequence[str], passphrase: Key) -> Path:
    """Replace the file by ``bundle``, encrypted for ``recipients`` or with the passphrase; return its path then.

    Raises:
        KgenError: it cannot be written.
    """
    text = document.dump(replace(bundle, recipients=tuple(recipients))).encode()
    encrypted = age.encrypt(text, recipients, passphrase)
    target = named(path, AGE)
    with _writing(path):
        # A kill in between leaves one file, encrypted, under the old name, which kgen reads as well.
        disk.replace_file(path, encrypted, MODE)
        _rename(path, target)
    return target


def write_plain(path: Path, bundle: Bundle) -> Path:
    """Replace an encrypted file by ``bundle`` in plain text; return its path then.

    Raises:
        KgenError: it cannot be written.
    """
    target = named(path, PLAIN)
    with _writing(path):
        _rename(
            path, target
        )  # first: a kill in between leaves one file, encrypted, which kgen reads under this name, too
        try:
            disk.replace_file(target, document.dump(replace(bundle, recipients=())).encode(), MODE)
        except OSError:
            _rename(target, path)
            raise
    return target


def _rename(path: Path, target: Path) -> None:
    if path != target:
        path.rename(target)
        disk.sync_directory(target.parent)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = f"{path} is as it was" if path.exists() else "nothing was written: make room or fix the permissions"
        raise KgenError(f"cannot write the secrets bundle {path}: {error.strerror}", hint) from None


def _keep(path: Path, old: bytes) -> Path:
    stem, suffix = _stem(path)
    number = 1
    while os.path.lexists(copy := stem.with_name(f"{stem.name}.old-{number}{suffix}")):
        number += 1
    disk.create_file(copy, old, MODE)
    return copy


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on the bundle's directory: a verb that reads, decides and writes does it inside.

    Raises:
        KgenError: another kgen holds it, has encrypted or decrypted the bundle, or there is no such directory.
    """
    with disk.locked(Path(os.path.realpath(path)).parent):
        now = _only(_stem(path)[0])
        if now != path:
            raise KgenError(f"another kgen has just made {now} of {path}", "run the command again")
        yield
