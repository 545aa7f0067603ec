"""The tables of docs/reference/kubeadm-fields.md, from the table of kubeadm's configuration and that of the keys."""

from __future__ import annotations

from collections.abc import Iterator

from kgen.config import kubeadm_fields, outline
from kgen.config.kubeadm_fields import KubeadmField
from kgen.reader.objects import Foreign


def rows() -> Iterator[str]:
    """Yield the lines of the tables, one table for each kind."""
    for kind in dict.fromkeys(row.kind for row in kubeadm_fields.FIELDS):
        yield f"## {kind}"
        yield ""
        yield "| field | since | kubeadm's default | in the cluster file | its default |"
        yield "| --- | --- | --- | --- | --- |"
        for row in kubeadm_fields.FIELDS:
            if row.kind == kind:
                yield _row(row)
        yield ""


def _row(row: KubeadmField) -> str:
    found = outline.find(row.path)
    assert found is not None, f"neither supported nor refused: {row.path}"
    default = f"`{row.default}`" if row.default and " " not in row.default else row.default
    if isinstance(found, Foreign):
        accepted = "".join(f"; `{str(value).lower()}` is accepted" for value in found.harmless[:1])
        return f"| `{row.path}` | {row.since} | {default} | refused, {found.message}: {found.hint}{accepted} | |"
    return f"| `{row.path}` | {row.since} | {default} | supported: {found.help} | {outline.default(found)} |"
