"""``kgen.lock.json``: the files of an output directory that kgen wrote, by verb, and the facts from which it made them.

The lock file has no time and no user name, is sorted, and has one line for each file or machine, so that ``diff``
shows what changed. It records sha256 and size of uncompressed content, because compressed bytes differ between builds
of zlib.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from kgen.errors import KgenError
from kgen.output.disk import read_plain_file

FILE_NAME = "kgen.lock.json"
FORMAT = 1
STAGING_NAME = ".kgen-new"
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""The errors of decoding a file that kgen did not write, or did not finish."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file: sha256 (hex) and bytes of its uncompressed content."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Section:
    """The record of one verb: its files by path, and facts about them (JSON values)."""

    files: Mapping[str, FileRecord] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lock:
    """The content of a lock file, empty if there is no lock file."""

    sections: Mapping[str, Section] = field(default_factory=dict)

    def section(self, name: str) -> Section:
        """Return the section of a verb, empty if the verb never wrote here."""
        return self.sections.get(name, Section())

    def with_section(self, name: str, section: Section) -> Lock:
        """Return the lock with one section replaced."""
        return Lock({**self.sections, name: section})


def read(root: Path) -> Lock:
    """Return the lock of an output directory; an empty one if there is no lock file.

    Raises:
        KgenError: the lock file is damaged, or from a newer kgen.
        OSError: it cannot be read.
    """
    path = root / FILE_NAME
    try:
        return _decode(json.loads(read_plain_file(path, follow=False)))
    except (FileNotFoundError, NotADirectoryError):
        return Lock()
    except MALFORMED as error:
        raise damaged(path, root) from error


def damaged(path: Path, root: Path) -> KgenError:
    """Return the error of a lock or a journal in ``root`` that is empty, torn, or was not written by kgen."""
    hint = f"move {root} away and render again: the cluster file and the secrets bundle produce everything in it"
    return KgenError(f"{path} is damaged", hint)


def _decode(data: Mapping[str, Any]) -> Lock:
    if data["format"] != FORMAT:
        raise ValueError(f"format {data['format']!r}")
    return Lock({name: _decode_section(section) for name, section in data["sections"].items()})


def _decode_section(section: Mapping[str, Any]) -> Section:
    files = {below_root(path): FileRecord(**record) for path, record in section["files"].items()}
    if FILE_NAME in files or not isinstance(section["facts"], dict):
        raise ValueError("not a section that kgen wrote")
    return Section(files, section["facts"])


def below_root(text: str) -> str:
    """Return a path of a lock or a journal, which kgen may remove; refuse one that leads out of the output directory.

    Raises:
        ValueError, TypeError: it is absolute, has ``..``, is not spelled as kgen does, or is kgen's staging directory.
    """
    path = PurePosixPath(text)
    is_spelled_otherwise = str(path) != text or text == "." or b"\0" in text.encode()
    if path.is_absolute() or ".." in path.parts or is_spelled_otherwise or path.parts[0] == STAGING_NAME:
        raise ValueError(text)
    return text


def encode(lock: Lock) -> bytes:
    """Return the content of the lock file."""
    sections = ((name, _encode_section(section)) for name, section in sorted(lock.sections.items()))
    return f'{{\n"format": {FORMAT},\n"sections": {_object(dict(sections), 0)}\n}}\n'.encode()


def _encode_section(section: Section) -> str:
    facts = {key: _object_of_lines(value) for key, value in section.facts.items()}
    files = {path: _dump({"sha256": it.sha256, "size": it.size}) for path, it in section.files.items()}
    return _object({"facts": _object(facts, 2), "files": _object(files, 2)}, 1)


def _object_of_lines(value: Any) -> str:
    """Return a mapping with one line for each entry, anything else on one line."""
    return (
        _object({key: _dump(entry) for key, entry in value.items()}, 3) if isinstance(value, Mapping) else _dump(value)
    )


def _object(entries: Mapping[str, str], depth: int) -> str:
    """Return a sorted JSON object of encoded values, one line each. json's own indent is ten times slower."""
    if not entries:
        return "{}"
    indent = " " * (depth + 1)
    lines = ",\n".join(f"{indent}{_dump(key)}: {entries[key]}" for key in sorted(entries))
    return f"{{\n{lines}\n{' ' * depth}}}"


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
