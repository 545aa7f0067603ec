"""Tells the type of an unquoted scalar, by the rules of YAML 1.1 as Go and Python apply them."""

from __future__ import annotations

import re
from typing import Literal

Resolved = Literal["null", "boolean", "integer", "number", "text"]

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = frozenset(
    form
    for word in ("true", "false", "yes", "no", "on", "off", "y", "n")
    for form in (word, word.title(), word.upper())
)
_INTEGER = re.compile(r"[-+]?(0[bB][01_]+|0[oO]?[0-7_]+|0[xX][0-9a-fA-F_]+|[0-9][0-9_]*)")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_NUMBER = re.compile(
    r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_NUMBER_STARTS = frozenset("+-.0123456789")

_PLAIN_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_PLAIN_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def resolve(text: str) -> Resolved:
    """Return the type of a plain scalar in YAML. A date counts as ``text``."""
    if text in _NULLS:
        return "null"
    if text in _BOOLEANS:
        return "boolean"
    if text[0] not in _NUMBER_STARTS:
        return "text"
    if _INTEGER.fullmatch(text) or _SEXAGESIMAL.fullmatch(text):
        return "integer"
    return "number" if _NUMBER.fullmatch(text) else "text"


def integer(text: str) -> int | None:
    """Return the integer written in plain decimal digits; None for any other spelling, octal 0755 included."""
    return int(text) if _PLAIN_INTEGER.fullmatch(text) and len(text) <= 20 else None


def number(text: str) -> int | float | None:
    """Return the finite number written in plain decimal digits; None for any other spelling."""
    if not _PLAIN_NUMBER.fullmatch(text) or len(text) > 40:
        return None
    whole = integer(text)
    value = float(text) if whole is None else whole
    return value if value not in (float("inf"), float("-inf")) else None
