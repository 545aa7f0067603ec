"""``kgen explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console
from kgen.errors import InputError

if TYPE_CHECKING:
    from kgen.reader.kinds import Kind
    from kgen.reader.objects import Field, Foreign, Object


@click.command(short_help="Explain a field of the cluster file.")
@click.argument("path", default="", metavar="[FIELD.PATH]")
@arguments.JSON
def explain(path: str, as_json: bool) -> None:
    """Explain a field of the cluster file and list the fields below it; without a path, list those at the top.

    FIELD.PATH is the names of fields with dots between them: `kgen explain machines.nodeRegistration`.
    """
    from kgen.config.fields import CLUSTER
    from kgen.config.outline import find, paths
    from kgen.reader.objects import Foreign
    from kgen.reader.report import nearest

    if not path:
        console.out_json({"fields": _fields(CLUSTER)}) if as_json else _list(CLUSTER)
        return
    found = find(path)
    if found is None:
        near = nearest(path.replace("[]", ""), paths())
        hint = f"`kgen explain {near}`" if near else "`kgen explain` lists the fields at the top"
        raise InputError(f"the cluster file has no field {path}", f"did you mean {hint}?" if near else hint)
    if as_json:
        console.out_json(_as_json(path, found))
        return
    if isinstance(found, Foreign):
        console.out(f"{path} {found.message}: {found.hint}")
        for value in found.harmless:
            console.out(f"accepted, but without effect: {str(value).lower() if value in (True, False) else value}")
        return
    _explain(path, found)


def _explain(path: str, row: Field) -> None:
    from kgen.config import kubeadm_fields, outline

    console.out(f"{path}: {_plain(outline.value(row.kind))}{' (required)' if row.is_required else ''}")
    console.out(f"  {row.help}")
    default = outline.default(row)
    if default:
        console.out(f"  default: {_plain(default)}")
    about = _about(row.kind)
    width = max(map(len, about), default=0)
    for value, meaning in about.items():
        console.out(f"  {value:{width}}  {_plain(meaning)}")
    for field in kubeadm_fields.at(path):
        its_default = f", default {field.default}" if field.default else ""
        console.out(f"  in kubeadm since {field.since}: {field.kind}.{field.path}{its_default}")
    for below, _ in outline.objects(row.kind):
        console.out()
        _list(below)


def _as_json(path: str, row: Field | Foreign) -> dict[str, Any]:
    from kgen.config import kubeadm_fields, outline
    from kgen.reader import objects

    if isinstance(row, objects.Foreign):
        return {"path": path, "refused": row.message, "hint": row.hint, "accepted": list(row.harmless)}
    return {
        "path": path,
        "value": _plain(outline.value(row.kind)),
        "required": row.is_required,
        "default": _plain(outline.default(row)) or None,
        "help": row.help,
        **({"values": about} if (about := _about(row.kind)) else {}),
        "kubeadm": [
            {"kind": field.kind, "path": field.path, "since": str(field.since), "default": field.default or None}
            for field in kubeadm_fields.at(path)
        ],
        "fields": [field for below, _ in outline.objects(row.kind) for field in _fields(below)],
    }


def _about(kind: Kind) -> dict[str, str]:
    """Return what each value means, of a choice or of a list of choices that says it."""
    item = getattr(kind, "item", kind)
    return dict(getattr(item, "about", {}))


def _fields(kind: Object) -> list[dict[str, Any]]:
    return [{"key": row.key, "required": row.is_required, "help": row.help} for row in kind.fields]


def _list(kind: Object) -> None:
    """Print the fields of an object, one a line."""
    width = max((len(row.key) for row in kind.fields), default=0)
    for row in kind.fields:
        console.out(f"{row.key:{width}}  {'(required) ' if row.is_required else ''}{row.help}")


def _plain(markdown: str) -> str:
    return markdown.replace("`", "")
