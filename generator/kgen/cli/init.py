"""``kgen init``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from kgen.cli import console
from kgen.disk import create_file, disk_errors, replace_file
from kgen.errors import InputError

DEFAULT_NAME = "cluster"
IGNORED = ("*.secrets.yaml", "/outputs/")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@click.command(short_help="Write a commented cluster file to start from.")
@click.argument("name_or_file", default=DEFAULT_NAME, metavar="[NAME|FILE]")
def init(name_or_file: str) -> None:
    """Write a commented cluster file to start from: NAME.yaml, or FILE (default: cluster.yaml).

    Nothing is overwritten. Inside a git work tree the secrets bundle and the output are added to .gitignore.
    """
    from kgen.config.starter import starter_text

    path = _path(name_or_file)
    if not _NAME.fullmatch(path.stem):
        raise InputError(
            f"{path.stem!r} cannot be a cluster's name",
            "use up to 63 lower-case letters, digits and dashes, for example `kgen init prod`",
        )
    text = starter_text(path.stem)
    with disk_errors(path):
        try:
            create_file(path, text.encode())
        except FileExistsError:
            raise InputError(f"{path} exists already", "choose another name, or edit it") from None
    ignore = path.parent / ".gitignore"
    with disk_errors(ignore):
        added = _ignore(ignore)
    console.out(f"written: {path}")
    if added:
        console.out(f"added to {ignore}: {' '.join(added)}")
    console.out(f"next: edit it, then `kgen render {path}`")


def _path(name_or_file: str) -> Path:
    is_file = name_or_file.endswith((".yaml", ".yml")) or "/" in name_or_file
    return Path(name_or_file if is_file else f"{name_or_file}.yaml")


def _ignore(path: Path) -> list[str]:
    """Add what must not be committed to ``path`` inside a git work tree; return the lines added."""
    directory = path.absolute().parent
    if not any((parent / ".git").exists() for parent in (directory, *directory.parents)):
        return []
    before = path.read_bytes() if path.exists() else b""
    present = {line.strip() for line in before.splitlines()}
    missing = [line for line in IGNORED if line.encode() not in present]
    if missing:
        gap = b"" if not before or before.endswith(b"\n") else b"\n"
        replace_file(path, before + gap + "".join(f"{line}\n" for line in missing).encode())
    return missing
