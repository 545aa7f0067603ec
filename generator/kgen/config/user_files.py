"""The reader of files that the cluster file names. A failure is reported at the line that names the file."""

from __future__ import annotations

from pathlib import Path

from kgen.output.disk import read_plain_file
from kgen.reader.report import Report, shown
from kgen.reader.tree import Node

_LARGEST_BYTES = 16 * 2**20


def text(path: Path, name: str, place: Node, report: Report, *, is_exact: bool = False) -> str | None:
    """Return the content of the file at ``path``, which the cluster file calls ``name`` at ``place``.

    None, and an error in ``report``, where it cannot be read. A byte order mark is removed unless ``is_exact``.
    """
    try:
        if path.is_dir():
            report.error(place, "K501", f"{shown(name)} is a directory", "name the files in it, one entry each")
            return None
        content = read_plain_file(path, _LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        hint = "paths are relative to the cluster file"
        report.error(place, "K501", f"{shown(name)} cannot be read: {reason(error)}", hint)
        return None
    if len(content) > _LARGEST_BYTES:
        message = f"{shown(name)} is larger than {_LARGEST_BYTES // 2**20} MiB"
        report.error(place, "K501", message, "apply it with kubectl once the cluster is up")
        return None
    try:
        return content.decode("utf-8" if is_exact else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        message = f"{shown(name)} is not UTF-8 text from line {line} on"
        report.error(place, "K501", message, "save the file with the encoding UTF-8")
        return None


def reason(error: OSError | ValueError) -> str:
    """Return why a path could not be opened, in the system's words."""
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
