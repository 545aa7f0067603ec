"""The source of randomness: only this module asks the operating system for it."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kgen.model import Algorithm

if TYPE_CHECKING:
    from kgen.pki.keys import PrivateKey

Progress = Callable[[int, int], None]
"""Is told how many keys are made and how many there will be, where making them takes seconds."""

ENCRYPTION_KEY_BYTES = 32
"""The length that every provider of an EncryptionConfiguration takes."""

_TOKEN_ALPHABET = string.digits + string.ascii_lowercase
_SALT_ALPHABET = "./" + string.digits + string.ascii_letters


def _key(algorithm: Algorithm) -> PrivateKey:
    from kgen.pki import keys

    return keys.generate(algorithm)


def _serial() -> int:
    import secrets  # as below: most runs need no randomness, and it is slow to import

    return secrets.randbelow(2**63 - 1) + 1


def _token() -> str:
    return f"{_text(_TOKEN_ALPHABET, 6)}.{_text(_TOKEN_ALPHABET, 16)}"


def _encryption_key() -> str:
    import base64
    import secrets

    return base64.b64encode(secrets.token_bytes(ENCRYPTION_KEY_BYTES)).decode()


def _salt() -> str:
    return _text(_SALT_ALPHABET, 16)


def _text(alphabet: str, length: int) -> str:
    import secrets

    return "".join(secrets.choice(alphabet) for _ in range(length))


@dataclass(frozen=True, slots=True)
class Source:
    """The sources of everything random in a bundle; tests fix them.

    ``key`` makes a private key and is called from several threads for RSA, ``serial`` a certificate's serial number
    (1 to 2**63-1), ``token`` a bootstrap token ``<id>.<secret>``
    (https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/), ``salt`` 16 characters of crypt salt,
    ``encryption_key`` 32 bytes as base64.
    """

    key: Callable[[Algorithm], PrivateKey] = _key
    serial: Callable[[], int] = _serial
    token: Callable[[], str] = _token
    salt: Callable[[], str] = _salt
    encryption_key: Callable[[], str] = _encryption_key
