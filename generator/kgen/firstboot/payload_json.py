"""Payload → payload.json, as docs/reference/payload.md describes it.

The text is made to be read and to be compared: a line for each value, or for a few short ones that belong together.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kgen.payload import FORMAT, ApiObject, Content, NodeFile, OwnValue, Payload, Pem, StoredToken

# JSON writes a line break inside a string as \n. So a real one, and a bracket beside it, belong to the structure.
_SHORT = re.compile(r"([\[{])\n([^\[\]{}]{1,80}?)\n([\]}])")


def canonical(value: object) -> str:
    """Return the one JSON text of ``value``: keys sorted, no blanks, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def text_of(body: Mapping[str, Any], form: int = FORMAT) -> str:
    """Return the text of payload.json around ``body``, with its format and the checksum that the runner verifies."""
    # Lines are not indented: gzip finds more repeats, and a comparison needs only the line breaks.
    lines = json.dumps({"format": form, "sha256": checksum(body), "body": body}, indent=0)
    return _SHORT.sub(lambda found: found[1] + found[2].replace("\n", " ") + found[3], lines) + "\n"


def text(payload: Payload) -> str:
    """Return the text of payload.json of a machine."""
    return text_of(body(payload), payload.format)


def checksum(body: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a body as the runner computes it: of ``json.dumps(body, sort_keys=True)``."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode("ascii")).hexdigest()


def body(payload: Payload) -> dict[str, Any]:
    """Return the body in reading order: who it is for, the values of the steps, what is published, files, keys.

    gzip finds repeated text within 32 KiB: objects and files repeat each other, so they are neighbours. Key material
    repeats nothing and comes last.
    """
    identity = {"pool" if payload.is_pool else "name": payload.name}
    owners = {str(file.path): file.owner for file in payload.files if file.owner}
    published = {"objects": [_object(entry) for entry in payload.objects]} if payload.role == "master" else {}
    return {
        "role": payload.role,
        **identity,
        **payload.parameters,
        "directories": {str(path): _mode(mode) for path, mode in payload.directories.items()},
        **published,
        "files": [_file(file) for file in payload.files],
        **({"owners": owners} if owners else {}),
        "blobs": {name: [blob.label, *(der.hex() for der in blob.der)] for name, blob in payload.blobs.items()},
    }


def _file(file: NodeFile) -> list[Any]:
    return [str(file.path), _mode(file.mode), file.stage, _content(file.content)]


def _mode(mode: int) -> str:
    return f"{mode:04o}"


def _object(entry: ApiObject) -> list[Any]:
    """Return the object with its longer texts apart, in ``fill``, where they can be a list of lines."""
    fill = [[list(keys), _content(content)] for keys, content in entry.fill]
    body, texts = _without_texts(entry.body, ())
    return [
        entry.collection,
        body,
        [*fill, *([list(keys), _content((text,))] for keys, text in texts)],
        entry.ttl_seconds,
    ]


def _without_texts(
    body: Mapping[str, Any], keys: tuple[str, ...]
) -> tuple[dict[str, Any], list[tuple[tuple[str, ...], str]]]:
    """Return ``body`` with an empty text in place of each that has several lines, and these with their key paths."""
    rest: dict[str, Any] = {}
    texts: list[tuple[tuple[str, ...], str]] = []
    for key, value in body.items():
        if isinstance(value, Mapping):
            rest[key], below = _without_texts(value, (*keys, key))
            texts += below
        elif isinstance(value, str) and "\n" in value:
            rest[key] = ""
            texts.append(((*keys, key), value))
        else:
            rest[key] = value
    return rest, texts


def _content(content: Content) -> list[str | dict[str, Any]]:
    return [line for piece in content for line in _lines(piece)]


def _lines(piece: Any) -> Iterator[str | dict[str, Any]]:
    """Yield a reference to a blob, a value that the machine fills in, or the lines of a text."""
    if isinstance(piece, str):
        yield from piece.splitlines(keepends=True)
    elif isinstance(piece, StoredToken):
        yield {"ssm": piece.parameter}
    elif isinstance(piece, OwnValue):
        yield {piece.kind: piece.argument, **piece.settings}
    else:
        yield {"pem" if isinstance(piece, Pem) else "b64": piece.blob}
