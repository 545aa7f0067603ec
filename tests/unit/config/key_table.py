"""The table of keys in docs/reference/cluster-file.md, from the table of fields."""

from __future__ import annotations

from collections.abc import Iterator

from kgen.config.fields import CLUSTER
from kgen.config.kinds import Boolean, Choice, Kind
from kgen.config.objects import ByShape, Field, ListOf, MapOf, Object

UPSTREAM = ("kubelet", "kubeProxy")


def rows() -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| key | value | default | meaning |"
    yield "| --- | --- | --- | --- |"
    described: dict[int, str] = {}
    for row in CLUSTER.fields:
        yield from _rows(row, "", described)


def _rows(row: Field, parent: str, described: dict[int, str]) -> Iterator[str]:
    """Yield the row of a key and those below it; what was described already is only referred to."""
    path = f"{parent}{row.key}"
    name = f"**`{path}`**" if row.is_required else f"`{path}`"
    objects = [] if path in UPSTREAM else list(_below(row.kind))
    first = next((described[id(below)] for below, _ in objects if id(below) in described), "")
    value = f"as `{first}`" if first else _value(row.kind)
    yield f"| {name} | {value} | {_default(row)} | {row.help} |"
    for below, suffix in objects:
        if described.setdefault(id(below), path) == path:
            for field in below.fields:
                yield from _rows(field, f"{path}{suffix}.", described)


def _below(kind: Kind) -> Iterator[tuple[Object, str]]:
    if isinstance(kind, Object):
        yield kind, ""
    elif isinstance(kind, ListOf):
        yield from ((below, f"[]{suffix}") for below, suffix in _below(kind.item))
    elif isinstance(kind, ByShape) and kind.mapping is not None:
        yield from _below(kind.mapping)


def _value(kind: Kind) -> str:
    if isinstance(kind, ListOf) and not list(_below(kind.item)):
        return f"list: {_value(kind.item)}"
    if isinstance(kind, MapOf):
        return f"`*`: {_value(kind.value)}"
    if isinstance(kind, Boolean):
        return "`true`, `false`"
    if isinstance(kind, Choice):
        return ", ".join(f"`{value}`" if value else "empty" for value in kind.values)
    return kind.what.removeprefix("a ").removeprefix("an ")


def _default(row: Field) -> str:
    if row.default_note:
        return row.default_note
    if row.default is None or row.default == () or row.default == "":
        return ""
    shown = (
        {True: "true", False: "false"}.get(row.default, row.default) if isinstance(row.default, bool) else row.default
    )
    return f"`{', '.join(shown) if isinstance(shown, tuple) else shown}`"
