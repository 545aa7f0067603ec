"""Checks values against the types of Kubernetes, as ``kgen.facts.programs`` has them.

The rules are those of the decoder that Kubernetes' programs use (``sigs.k8s.io/json``): a number is no text, an integer
has the width of its field, an unknown field is refused.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kgen.config import unknown_names
from kgen.reader.report import one_of, shown
from kgen.reader.tree import key_path

Types = Mapping[str, Mapping[str, str]]
Path = tuple[str | int, ...]

_INTEGERS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1), "uint32": (0, 2**32 - 1)}
_NUMBERS = ("float32", "float64")
_QUANTITY = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?")
_DURATION = re.compile(r"[+-]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A value that does not have the type of its field: its path, what is wrong, and what to do."""

    path: Path
    message: str
    hint: str = ""
    is_unknown: bool = False


def mismatches(value: Any, notation: str, types: Types, path: Path = ()) -> Iterator[Mismatch]:
    """Yield what is wrong with a value of the type ``notation``. Null is no value, and directives of patches are keys.

    ``types`` has the fields of every struct.
    """
    notation = notation.removeprefix("*")
    if value is None or notation == "any":
        return
    if notation.startswith("[]"):
        if not isinstance(value, list):
            yield Mismatch(path, f"must be a list, not {_found(value)}", "start each item with `- `")
            return
        for index, item in enumerate(value):
            yield from mismatches(item, notation[2:], types, (*path, index))
    elif notation.startswith("{}") or notation in types:
        if not isinstance(value, dict):
            yield Mismatch(path, f"must be a mapping, not {_found(value)}")
            return
        for key, item in value.items():
            if isinstance(key, str) and key.startswith("$"):
                continue
            below = field(notation, str(key), types)
            if below:
                yield from mismatches(item, below, types, (*path, key))
            else:
                yield unknown(notation, str(key), types, (*path, key))
    else:
        wrong = _wrong(value, notation)
        if wrong:
            yield Mismatch(path, *wrong)


def field(notation: str, key: str, types: Types) -> str:
    """Return the type of what is at ``key`` of a mapping or list of the type ``notation``; empty if nothing can be."""
    notation = notation.removeprefix("*")
    if notation == "any":
        return notation
    if notation[:2] in ("{}", "[]"):
        return notation[2:]
    return types.get(notation, {}).get(key, "")


def unknown(notation: str, key: str, types: Types, path: Path) -> Mismatch:
    """Return the mismatch of a field that the struct does not have."""
    struct = notation.removeprefix("*")
    fields = types.get(struct, {})
    listed = f"its fields: {one_of(sorted(fields))}" if 0 < len(fields) <= 8 else ""
    hint = unknown_names.hint(key, fields, lambda table: key in table.types.get(struct, {}), otherwise=listed)
    return Mismatch(path, f"{struct} has no field {shown(key)}", hint, is_unknown=True)


def field_path(path: Path) -> str:
    """Return a path as it is shown: ``spec.containers[0].name``."""
    text = ""
    for step in path:
        text = f"{text}[{step}]" if isinstance(step, int) else key_path(text, step)
    return text


def _found(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else "a text"


def _wrong(value: Any, notation: str) -> tuple[str, str] | None:
    """Return what is wrong with a scalar, and a hint; None for a good one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if notation == "bool":
        hint = "write true or false, without quotes"
        return None if isinstance(value, bool) else (f"must be true or false, not {_found(value)}", hint)
    if notation in _INTEGERS or (notation == "int-or-string" and is_number):
        return _wrong_integer(value, notation if notation in _INTEGERS else "int32")
    if notation in _NUMBERS:
        return None if is_number else (f"must be a number, not {_found(value)}", "")
    if notation in ("quantity", "duration-or-int") and is_number:
        return None
    if not isinstance(value, str):
        hint = "put it in quotes" if isinstance(value, bool | int | float) else ""
        return f"must be a text, not {_found(value)}", hint
    return _wrong_text(value, notation)


def _wrong_integer(value: Any, notation: str) -> tuple[str, str] | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        hint = "write it without quotes" if isinstance(value, str) and value.isdigit() else ""
        return f"must be a whole number, not {_found(value)}", hint
    low, high = _INTEGERS[notation]
    if not low <= value <= high:
        return f"{value} does not fit {notation}", f"give a number between {low} and {high}"
    return None


def _wrong_text(value: str, notation: str) -> tuple[str, str] | None:
    if notation == "quantity" and not _QUANTITY.fullmatch(value):
        return f"{shown(value)} is not a quantity", "write a number with a unit, like 500m or 100Mi"
    if notation in ("duration", "duration-or-int") and not _DURATION.fullmatch(value):
        return f"{shown(value)} is not a duration", "write hours, minutes and seconds, like 1h30m"
    if notation == "time" and not _TIME.fullmatch(value):
        return f"{shown(value)} is not a time", "write it like 2026-01-31T12:00:00Z"
    if notation == "bytes":
        try:
            b64decode(value, validate=True)
        except binascii.Error:
            return "the value is not base64", ""
    return None
