"""Encryption with age (https://age-encryption.org/v1). Only this module imports ``pyrage``."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from kgen.errors import InputError
from kgen.reader.report import shown

_HEADER = b"age-encryption.org/v1\n"
_ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----"
_TOO_MUCH_WORK = "Excessive work"
_MEASUREMENTS = 50
_SSH_PUBLIC = ("ssh-ed25519 ", "ssh-rsa ")
_SSH_PRIVATE = "-----BEGIN "
_PLUGIN = re.compile(r"age1[a-z0-9+._-]+1")  # Bech32 has no 1 after its prefix, which is age1 without a plugin
_NO_PLUGINS = "kgen supports no plugins: use a recipient age1… of `age-keygen`, or an SSH key"
_RECIPIENT_HINT = "give age1… as `age-keygen -o key.txt` prints it, or a public key of SSH: ssh-ed25519 or ssh-rsa"
_POST_QUANTUM = "AGE-SECRET-KEY-PQ-", "age1pq1"
_NO_POST_QUANTUM = "kgen does not support post-quantum keys yet: make one with `age-keygen` without -pq"


@dataclass(frozen=True, slots=True)
class Key:
    """What opens a file: the text of an identity file, or a passphrase."""

    identities: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)


def is_encrypted(content: bytes) -> bool:
    """Return whether the content is a file of age."""
    return content.startswith((_HEADER, _ARMOR))


def has_passphrase(content: bytes) -> bool:
    """Return whether a passphrase opens the file of age. Otherwise an identity does."""
    head = content
    if content.startswith(_ARMOR):
        try:
            head = base64.b64decode(content.splitlines()[1])
        except (binascii.Error, IndexError):
            return False
    return head.startswith(_HEADER + b"-> scrypt ")


def recipient(text: str) -> str:
    """Return a recipient as the bundle records it: an SSH key without its comment.

    Raises:
        InputError: it is none.
    """
    text = " ".join(text.split()[:2]) if text.startswith(_SSH_PUBLIC) else text
    _recipient(text)
    return text


def encrypt(text: bytes, recipients: Iterable[str], key: Key) -> bytes:
    """Return the text, encrypted for ``recipients``, or if there are none with the passphrase of ``key``. Armored."""
    import pyrage

    if wanted := [_recipient(each) for each in recipients]:
        return bytes(pyrage.encrypt(text, wanted, armored=True))
    if not key.passphrase:
        raise InputError("an empty passphrase protects nothing", "choose one of several random words")
    return bytes(pyrage.passphrase.encrypt(text, key.passphrase, armored=True))


@lru_cache(maxsize=4)  # a verb reads the bundle several times, and a passphrase takes a second each time
def decrypt(content: bytes, key: Key, name: str) -> bytes:
    """Return the text of a file of age; ``name`` is the file's, for messages.

    Raises:
        InputError: the key does not open the file, or the file is damaged.
    """
    import pyrage

    try:
        if has_passphrase(content):
            return _with_passphrase(content, key.passphrase)
        return bytes(pyrage.decrypt(content, identities(key.identities)))
    except pyrage.DecryptError as error:  # its words do not tell a wrong key from a damaged header
        if str(error).startswith(_TOO_MUCH_WORK):
            message = f"{name} cannot be decrypted here: to try a passphrase would take this computer too long"
            hint = "run kgen on a faster or less busy computer; if the work factor in the file is damaged, restore it"
            raise InputError(message, hint) from None
        what = "passphrase" if has_passphrase(content) else "identity"
        message = f"{name} cannot be decrypted: the {what} is another one, or the file is damaged"
        raise InputError(message, f"try another {what}, or restore the file from a backup") from None


def _with_passphrase(content: bytes, passphrase: str) -> bytes:
    """Return the text of a file of age. What the computer measures once, on a busy moment, does not decide.

    pyrage refuses a file for which scrypt would take more than 16 seconds or so, by a measurement of some milliseconds.
    """
    import pyrage

    left = _MEASUREMENTS
    while True:
        left -= 1
        try:
            return bytes(pyrage.passphrase.decrypt(content, passphrase))
        except pyrage.DecryptError as error:
            if not left or not str(error).startswith(_TOO_MUCH_WORK):
                raise


def identities(text: str) -> list[Any]:
    """Return the identities in the text of a file: those of age, one a line, or one private key of SSH.

    Raises:
        InputError: there is none that can be used. The message shows nothing of the text.
    """
    import pyrage

    hint = "give the file that `age-keygen` wrote, or an SSH private key (Ed25519 or RSA) without a passphrase"
    text = text.removeprefix("\ufeff")
    if is_encrypted(text.encode()):
        decrypted = "decrypt it into a descriptor: `kgen … --identity /dev/fd/3 3< <(age -d FILE)`"
        raise InputError("the identity file is encrypted itself", decrypted)
    if text.lstrip().startswith(_SSH_PRIVATE):
        try:
            return [pyrage.ssh.Identity.from_buffer(text.lstrip().encode())]
        except pyrage.IdentityError:
            raise InputError("the SSH key in the identity file cannot be used", hint) from None
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not (line := line.strip()) or line.startswith("#"):
            continue
        try:
            found.append(pyrage.x25519.Identity.from_str(line))
        except pyrage.IdentityError:
            if line.startswith("AGE-PLUGIN-"):
                raise InputError(f"line {number} of the identity file needs a plugin of age", _NO_PLUGINS) from None
            if line.startswith(_POST_QUANTUM):
                message = f"line {number} of the identity file is a post-quantum identity"
                raise InputError(message, _NO_POST_QUANTUM) from None
            raise InputError(f"line {number} of the identity file is not an identity of age", hint) from None
    if not found:
        raise InputError("the identity file has no identity", hint)
    return found


def _recipient(text: str) -> Any:
    import pyrage

    if "SECRET-KEY" in text.upper():
        hint = "it may be in the history of your shell now: make another one with `age-keygen -o key.txt`"
        raise InputError("a recipient is public, and this is an identity, which is secret", hint)
    try:
        if text.startswith(_SSH_PUBLIC):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        if text.startswith(_POST_QUANTUM):
            raise InputError(f"{shown(text)} is a post-quantum recipient", _NO_POST_QUANTUM) from None
        if _PLUGIN.match(text):
            raise InputError(f"{shown(text)} needs a plugin of age", _NO_PLUGINS) from None
        raise InputError(f"{shown(text)} is not a recipient of age", _RECIPIENT_HINT) from None
