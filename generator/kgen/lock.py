"""``kgen.lock.json``: which files of an output directory kgen wrote, by verb, and what they were made from.

Deterministic: no time, no user, sorted; a file or a machine a line, so that ``diff`` shows what changed. The sha256
and size of a file are those of its uncompressed content, because compressed bytes differ between builds of zlib.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from kgen.errors import KgenError

FILE_NAME = "kgen.lock.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file: sha256 (hex) and bytes of its uncompressed content."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Section:
    """What one verb wrote: its files by path, and facts about them (JSON values)."""

    files: Mapping[str, FileRecord] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lock:
    """The content of a lock file; empty where there is none."""

    sections: Mapping[str, Section] = field(default_factory=dict)

    def section(self, name: str) -> Section:
        """Return the section of a verb, empty when it never wrote here."""
        return self.sections.get(name, Section())

    def with_section(self, name: str, section: Section) -> Lock:
        """Return the lock with one section replaced."""
        return Lock({**self.sections, name: section})


def read(root: Path) -> Lock:
    """Return the lock of an output directory; an empty one when there is no lock file.

    Raises:
        KgenError: the lock file is damaged, or from a newer kgen.
        OSError: it cannot be read.
    """
    path = root / FILE_NAME
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Lock()
    try:
        return _decode(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KgenError(
            f"{path} is damaged ({type(error).__name__})",
            f"move {root} away and render again: everything in it comes from the cluster file and the secrets bundle",
        ) from error


def _decode(data: Mapping[str, Any]) -> Lock:
    if data["format"] != FORMAT:
        raise ValueError(f"format {data['format']!r}")
    return Lock(
        {
            name: Section(
                {_below_root(path): FileRecord(**record) for path, record in section["files"].items()}, section["facts"]
            )
            for name, section in data["sections"].items()
        }
    )


def _below_root(text: str) -> str:
    """Refuse a path that leads out of the output directory: what is listed here is pruned."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or str(path) != text or text == ".":
        raise ValueError(text)
    return text


def encode(lock: Lock) -> bytes:
    """Return the lock as it stands on disk."""
    sections = ((name, _encode_section(section)) for name, section in sorted(lock.sections.items()))
    return f'{{\n"format": {FORMAT},\n"sections": {_object(dict(sections), 0)}\n}}\n'.encode()


def _encode_section(section: Section) -> str:
    facts = {key: _object_of_lines(value) for key, value in section.facts.items()}
    files = {path: _dump({"sha256": it.sha256, "size": it.size}) for path, it in section.files.items()}
    return _object({"facts": _object(facts, 2), "files": _object(files, 2)}, 1)


def _object_of_lines(value: Any) -> str:
    """Return a mapping with an entry a line, anything else on one line."""
    return (
        _object({key: _dump(entry) for key, entry in value.items()}, 3) if isinstance(value, Mapping) else _dump(value)
    )


def _object(entries: Mapping[str, str], depth: int) -> str:
    """Return a JSON object of encoded values, sorted, an entry a line. json's own indent is ten times slower."""
    if not entries:
        return "{}"
    indent = " " * (depth + 1)
    lines = ",\n".join(f"{indent}{_dump(key)}: {entries[key]}" for key in sorted(entries))
    return f"{{\n{lines}\n{' ' * depth}}}"


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
