"""The key of an encrypted bundle: where it comes from. It never comes from an argument."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kgen.errors import InputError
from kgen.secrets_bundle import age
from kgen.secrets_bundle.age import Key

IDENTITY_VARIABLE = "KGEN_AGE_IDENTITY_FILE"
PASSPHRASE_VARIABLE = "KGEN_AGE_PASSPHRASE_FILE"  # noqa: S105 - the name of a variable


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read {what} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"cannot read {what} {path}: it is not text") from None


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where this process takes keys from, after the environment. ``ask`` asks a person for the passphrase."""

    identity_file: Path | None = None
    ask: Callable[[], str] | None = None
    read: Callable[[Path, str], str] = field(default_factory=lambda: cache(_text))  # a pipe can be read once


_SOURCES: ContextVar[_Sources] = ContextVar("sources", default=_Sources())  # noqa: B039 - it is frozen


def use(identity_file: Path | None = None, ask: Callable[[], str] | None = None) -> None:
    """Take identities from ``identity_file``, before KGEN_AGE_IDENTITY_FILE, and ask for a passphrase with ``ask``.

    ``ask`` is called once, and only if KGEN_AGE_PASSPHRASE_FILE is not set.
    """
    _SOURCES.set(_Sources(identity_file, cache(ask) if ask else None))


def has_identity() -> bool:
    """Return whether an identity file was named."""
    return bool(_SOURCES.get().identity_file or os.environ.get(IDENTITY_VARIABLE))


def key_for(content: bytes, name: str) -> Key:
    """Return the key for a file of age; ``name`` is the file's, for messages.

    Raises:
        InputError: there is no key, or its file cannot be read.
    """
    sources = _SOURCES.get()
    if age.has_passphrase(content):
        if named := os.environ.get(PASSPHRASE_VARIABLE):
            return Key(passphrase=passphrase_in(Path(named)))
        if sources.ask is None:
            raise InputError(
                f"{name} is encrypted with a passphrase, and nobody can be asked for it",
                f"let {PASSPHRASE_VARIABLE} name a file that holds it, or a descriptor: /dev/fd/3",
            )
        return Key(passphrase=sources.ask())
    path: Path | str | None = sources.identity_file or os.environ.get(IDENTITY_VARIABLE)
    if not path:
        hint = f"add `--identity FILE`, or let {IDENTITY_VARIABLE} name the file of your identity"
        raise InputError(f"{name} is encrypted with age, and no identity was given", hint)
    return Key(identities=sources.read(Path(path), "the identity file"))


def passphrase_in(path: Path) -> str:
    """Return the first line of a file, which may be a pipe.

    Raises:
        InputError: it cannot be read.
    """
    lines = _SOURCES.get().read(path, "the file of the passphrase").splitlines()
    return lines[0] if lines else ""
