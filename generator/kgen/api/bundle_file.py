"""The secrets bundle as a file that age encrypts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kgen.api.bundle import existing_bundle
from kgen.config.load import load
from kgen.errors import InputError, command
from kgen.secrets_bundle import age, store, unlocking
from kgen.secrets_bundle.age import Key
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import populate

use_identity = unlocking.use
passphrase_in = unlocking.passphrase_in


@dataclass(frozen=True, slots=True)
class BundleFile:
    """The file of a bundle, and who can decrypt it: ``recipients``, or who has the passphrase."""

    path: Path
    recipients: tuple[str, ...]
    has_passphrase: bool


def encrypt_bundle(
    cluster_file: Path, recipients: Iterable[str] = (), *, passphrase: str = "", create: bool = False
) -> BundleFile:
    """Encrypt the bundle of ``cluster_file`` for ``recipients`` of age, or with ``passphrase``.

    With ``create`` a missing bundle is made, and no plain text of it is ever on the disk.

    Raises:
        ProblemsError, InputError: the bundle, a recipient, the cluster file or the identity is wrong; nothing changed.
        KgenError: the disk refuses, or another kgen is at work.
    """
    wanted = _recipients(recipients)
    path = store.path_for(cluster_file)
    with store.locked(path):
        found = store.content(path)
        if found is None and create:
            bundle = populate(None, load(cluster_file).cluster, datetime.now(UTC)).bundle
        else:
            bundle = existing_bundle(cluster_file)
        if found is not None and (encryption := store.encryption_of(found)) != "none":
            edit = f"`{command('bundle edit-recipients', cluster_file)}` changes who can decrypt it"
            if not path.name.endswith(store.AGE):
                edit = f"`mv {path} {store.named(path, store.AGE)}` gives it its name; {edit}"
            name, hint = {
                "age": ("age", edit),
                "sops": ("SOPS", f"`{command('bundle decrypt', cluster_file)}` first"),
            }[encryption]
            raise InputError(f"{path} is encrypted with {name} already", hint)
        return _write(path, bundle, wanted, passphrase)


def decrypt_bundle(cluster_file: Path) -> BundleFile:
    """Replace the encrypted bundle of ``cluster_file`` by one in plain text.

    Raises:
        ProblemsError, InputError: the bundle is not encrypted, or cannot be decrypted; nothing changed.
        KgenError: the disk refuses, or another kgen is at work.
    """
    path = store.path_for(cluster_file)
    with store.locked(path):
        bundle = existing_bundle(cluster_file)
        if store.encryption_of(store.content(path) or b"") == "none":
            raise InputError(f"{path} is not encrypted")
        return BundleFile(store.write_plain(path, bundle), (), False)


def edit_recipients(
    cluster_file: Path, *, add: Iterable[str] = (), remove: Iterable[str] = (), passphrase: str = ""
) -> BundleFile:
    """Change who can decrypt the bundle of ``cluster_file``; without a change return who can.

    ``passphrase`` replaces all recipients, and recipients replace a passphrase.

    Raises:
        ProblemsError, InputError: the bundle cannot be decrypted, or a recipient is wrong; nothing changed.
        KgenError: the disk refuses, or another kgen is at work.
    """
    added, removed = _recipients(add), _recipients(remove)
    path = store.path_for(cluster_file)
    with store.locked(path):
        bundle = existing_bundle(cluster_file)
        found = store.content(path) or b""
        if store.encryption_of(found) != "age":
            hint = f"`{command('bundle encrypt', cluster_file, '--recipient', 'RECIPIENT')}` encrypts it"
            raise InputError(f"{path} is not encrypted with age, so it has no recipients", hint)
        if not (added or removed or passphrase):
            return BundleFile(path, bundle.recipients, age.has_passphrase(found))
        if unknown := [each for each in removed if each not in bundle.recipients]:
            hint = f"`{command('bundle edit-recipients', cluster_file)}` lists the recipients"
            raise InputError(f"{unknown[0]} is not a recipient of {path}", hint)
        wanted = tuple(dict.fromkeys(each for each in (*bundle.recipients, *added) if each not in removed))
        if passphrase:
            wanted = ()
        elif not wanted:
            raise InputError("nobody could decrypt the bundle any more", "add another recipient, or use --passphrase")
        return _write(path, bundle, wanted, passphrase)


def _recipients(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(age.recipient(text) for text in texts))


def _write(path: Path, bundle: Bundle, recipients: tuple[str, ...], passphrase: str) -> BundleFile:
    """Encrypt the bundle. Refuse if the identity that was given, if any, could not decrypt it again."""
    key = Key(passphrase=passphrase)
    if recipients and unlocking.has_identity():
        trial = age.encrypt(b"", recipients, key)
        try:
            age.decrypt(trial, unlocking.key_for(trial, str(path)), str(path))
        except InputError as error:
            hint = "add the recipient of this identity: `age-keygen -y FILE` prints it"
            raise InputError("the identity you gave could not decrypt the bundle any more", hint) from error
    written = store.write_encrypted(path, bundle, recipients, key)
    return BundleFile(written, recipients, not recipients)
