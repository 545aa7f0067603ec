"""Writes a new cluster file, and keeps its secrets out of git."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from kgen.cli import console
from kgen.errors import InputError
from kgen.output.disk import create_file, disk_errors, locked, read_plain_file, replace_file

IGNORED = ("*.secrets.yaml", "/outputs/")


def require_directory(path: Path) -> None:
    """Refuse a path whose directory does not exist."""
    if not path.parent.is_dir():
        raise InputError(
            f"there is no directory {path.parent}", f"create it: `mkdir -p {shlex.quote(str(path.parent))}`"
        )


def refuse_existing(path: Path, other: str) -> None:
    """Refuse a path that exists; ``other`` is the command that writes another file."""
    if path.exists() or path.is_symlink():
        raise InputError(f"{path} exists already", f"edit it, or choose another name: `{other}`")


def write(path: Path, text: str, other: str) -> list[str]:
    """Write ``path``, and inside a git work tree the names of secret files to the .gitignore beside it.

    ``other`` is the command that writes another file. Return the lines that the .gitignore got.

    Raises:
        InputError: the file exists, or its directory does not.
    """
    require_directory(path)
    refuse_existing(path, other)
    with disk_errors(path):
        create_file(path, text.encode())
    ignore = path.parent / ".gitignore"
    with locked(path.parent), disk_errors(ignore):
        return _ignore(ignore)


def report(path: Path, ignored: Sequence[str]) -> None:
    """Print what ``write`` has done."""
    console.out(f"written: {path}")
    if ignored:
        console.out(f"added to {path.parent / '.gitignore'}: {' '.join(ignored)}")


def _ignore(path: Path) -> list[str]:
    """Add the names of secret files to ``path`` inside a git work tree; return the lines added."""
    directory = path.absolute().parent
    if not any((parent / ".git").exists() for parent in (directory, *directory.parents)):
        return []
    try:
        before = read_plain_file(path, follow=False)  # git does not follow a link here either
    except FileNotFoundError:
        before = b""
    present = {line.strip() for line in before.splitlines()}
    missing = [line for line in IGNORED if line.encode() not in present]
    if missing:
        gap = b"" if not before or before.endswith(b"\n") else b"\n"
        replace_file(path, before + gap + "".join(f"{line}\n" for line in missing).encode())
    return missing
