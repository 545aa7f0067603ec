"""``kgen docs``."""

from __future__ import annotations

import html
from pathlib import Path

import click

from kgen import resources
from kgen.cli import arguments, console
from kgen.errors import InputError


@click.command(short_help="Print where the documentation is.")
@click.argument("topic", default="")
@arguments.JSON
def docs(topic: str, as_json: bool) -> None:
    """Print the path of a page of this version's documentation; without TOPIC, its directory and its pages.

    TOPIC is the name of a page, `less "$(kgen docs lab)"`, or of a directory of pages, `kgen docs how-to`.
    """
    from kgen.reader.report import nearest

    root = resources.docs_root()
    pages = {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.rglob("*.md"))}
    folder = topic.removeprefix("docs/").strip("/")
    listed = {name: path for name, path in pages.items() if not folder or name.startswith(f"{folder}/")}
    # `lab` is how-to/lab. A page that another text names is found by that name, too: docs/how-to/lab.md.
    wanted = topic.removeprefix("docs/").removesuffix(".md")
    found = listed or {name: path for name, path in pages.items() if wanted in (name, path.stem)}
    if not found:
        near = nearest(wanted, [*pages, *(path.stem for path in pages.values())])
        hint = f"did you mean `kgen docs {near}`?" if near else "`kgen docs` lists the pages"
        raise InputError(f"the documentation has no page {topic}", hint)
    if as_json:
        told = [{"name": name, "title": _title(path), "path": str(path)} for name, path in found.items()]
        console.out_json({"pages": told})
    elif listed:
        width = max(map(len, listed))
        console.out(f"{root / folder}\n")
        for name, path in listed.items():
            console.out(f"{name:{width}}  {_title(path)}")
    else:
        console.out("\n".join(map(str, found.values())))


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return html.unescape(next(lines).removeprefix("# ").strip())
