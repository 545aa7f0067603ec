"""Crypt hashes of console users' passwords, created once and kept while they match the password."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from kgen.errors import InputError
from kgen.model import User
from kgen.secrets_bundle.source import Source

ROUNDS = 5000
"""The default of sha512-crypt. Every render computes the hash again to compare it, so more rounds cost time."""


def password_hashes(users: Sequence[User], kept: Mapping[str, str], source: Source) -> dict[str, str]:
    """Return a ``$6$`` hash for each user with a plain-text password; one in ``kept`` stays while it verifies.

    Raises:
        InputError: a password cannot be hashed (it holds a NUL, or is thousands of characters long).
    """
    wanted = [user for user in users if user.plain_text_password]
    if not wanted:
        return {}
    crypt = _sha512_crypt()
    return {user.name: _hash(crypt, user, kept.get(user.name, ""), source) for user in wanted}


def _hash(crypt: Any, user: User, kept: str, source: Source) -> str:
    try:
        if crypt.identify(kept) and crypt.verify(user.plain_text_password, kept):
            return kept
        return str(crypt.using(salt=source.salt(), rounds=ROUNDS).hash(user.plain_text_password))
    except ValueError:
        hint = "use one without NUL characters, of at most 4,096 characters"
        raise InputError(f"the password of user {user.name!r} cannot be hashed", hint) from None


def _sha512_crypt() -> Any:
    with warnings.catch_warnings():  # passlib 1.7.4 looks for the crypt module, deprecated and gone in Python 3.13
        warnings.simplefilter("ignore", DeprecationWarning)
        from passlib.handlers.sha2_crypt import sha512_crypt
    return sha512_crypt
