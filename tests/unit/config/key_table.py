"""The table of keys in docs/reference/cluster-file.md, from the table of fields."""

from __future__ import annotations

from collections.abc import Iterator

from kgen.config import outline
from kgen.config.fields import CLUSTER
from kgen.reader.objects import Field

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
    objects = [] if row.key in UPSTREAM else list(outline.objects(row.kind))
    first = next((described[id(below)] for below, _ in objects if id(below) in described), "")
    value = f"as `{first}`" if first else outline.value(row.kind)
    yield f"| {name} | {value} | {outline.default(row)} | {row.help} |"
    for below, suffix in objects:
        if described.setdefault(id(below), path) == path:
            for field in below.fields:
                yield from _rows(field, f"{path}{suffix}.", described)
