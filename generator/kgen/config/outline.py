"""The fields of the cluster file by path, and as words: for the reference pages and ``kgen explain``."""

from __future__ import annotations

from collections.abc import Iterator

from kgen.config.fields import CLUSTER
from kgen.reader.kinds import Boolean, Choice, Kind
from kgen.reader.objects import ByShape, Field, Foreign, ListOf, MapOf, Object


def find(path: str) -> Field | Foreign | None:
    """Return the field at a path such as ``machines[].labels``, or why it is none; ``[]`` may be left out.

    The path of a field below a refused key finds that key.
    """
    kind: Kind = CLUSTER
    found: Field | Foreign | None = None
    for key in path.replace("[]", "").split("."):
        if isinstance(found, Foreign):
            return found
        candidates = (below.by_key.get(key) or below.foreign.get(key) for below, _ in objects(kind))
        found = next((candidate for candidate in candidates if candidate), None)
        if found is None:
            return None
        kind = found.kind if isinstance(found, Field) else kind
    return found


def paths() -> Iterator[str]:
    """Yield the path of every field, without ``[]``."""
    return _paths(CLUSTER, "")


def _paths(kind: Kind, parent: str) -> Iterator[str]:
    for below, _ in objects(kind):
        for row in below.fields:
            yield parent + row.key
            yield from _paths(row.kind, f"{parent}{row.key}.")


def objects(kind: Kind) -> Iterator[tuple[Object, str]]:
    """Yield each object inside a kind of value, and what its path has between it and a key: ``[]`` for a list's."""
    if isinstance(kind, Object):
        yield kind, ""
    elif isinstance(kind, ListOf):
        yield from ((below, f"[]{suffix}") for below, suffix in objects(kind.item))
    elif isinstance(kind, ByShape) and kind.mapping is not None:
        yield from objects(kind.mapping)


def value(kind: Kind) -> str:
    """Return which values a kind takes, in Markdown."""
    if isinstance(kind, ListOf) and not list(objects(kind.item)):
        return f"list: {value(kind.item)}"
    if isinstance(kind, MapOf):
        return f"`*`: {value(kind.value)}"
    if isinstance(kind, Boolean):
        return "`true`, `false`"
    if isinstance(kind, Choice):
        return ", ".join(f"`{each}`" if each else "empty" for each in kind.values)
    return kind.what.removeprefix("a ").removeprefix("an ")


def default(row: Field) -> str:
    """Return the default of a field, in Markdown; empty if it has none."""
    if row.default_note:
        return row.default_note
    if row.default is None or row.default in ((), ""):
        return ""
    if isinstance(row.default, bool):
        return f"`{str(row.default).lower()}`"
    return f"`{', '.join(row.default) if isinstance(row.default, tuple) else row.default}`"
