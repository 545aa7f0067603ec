"""``kgen init``."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import click

from kgen.cli import arguments, console, new_file
from kgen.errors import InputError, command
from kgen.output.disk import create_file, disk_errors

DEFAULT_NAME = "cluster"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@click.command(short_help="Write a commented cluster file to start from.")
@click.argument("name_or_file", default=DEFAULT_NAME, metavar="[NAME|FILE]")
@arguments.JSON
def init(name_or_file: str, as_json: bool) -> None:
    """Write a commented cluster file to start from: NAME.yaml, or FILE (default: cluster.yaml).

    kgen.schema.json beside it lets editors complete and check it. Nothing is overwritten. Inside a git work tree the
    secrets bundle and the output are added to .gitignore.
    """
    from kgen.config.schema import schema_text
    from kgen.config.starter import SCHEMA_FILE, starter_text

    path = _path(name_or_file)
    refuse_bad_name(path.stem, "kgen init prod")
    ignored = new_file.write(path, starter_text(path.stem), "kgen init NAME")
    with disk_errors(path.parent / SCHEMA_FILE), suppress(FileExistsError):
        create_file(path.parent / SCHEMA_FILE, schema_text().encode())
    if as_json:
        console.out_json({"path": str(path), "ignored": ignored})
        return
    new_file.report(path, ignored)
    console.out(f"next: edit it, then `{command('render', path)}`")


def refuse_bad_name(name: str, example: str) -> None:
    """Refuse a name that no cluster can have."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be a cluster's name",
            f"a name has at most 63 lower-case letters, digits and dashes, for example `{example}`",
        )


def _path(name_or_file: str) -> Path:
    is_file = name_or_file.endswith((".yaml", ".yml")) or "/" in name_or_file
    return Path(name_or_file if is_file else f"{name_or_file}.yaml")
