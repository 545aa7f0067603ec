"""Payload → payload.json, as docs/reference/payload.md describes it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from kgen import payload as model
from kgen.payload import ApiObject, Blob, Content, NodeFile, Payload, Pem


def canonical(value: object) -> str:
    """Return the one JSON text of ``value``: keys sorted, no blanks, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def encode(payload: Payload, runner_sha256: str) -> str:
    """Return the text of payload.json; the same payload always gives the same bytes."""
    body_text = canonical(body(payload))
    digest = hashlib.sha256(body_text.encode("ascii")).hexdigest()
    return f'{{"body":{body_text},"format":{model.FORMAT},"runner":"{runner_sha256}","sha256":"{digest}"}}'


def key_material(payload: Payload) -> str:
    """Return the part of the encoded payload that holds the blobs."""
    return canonical({name: _blob(blob) for name, blob in payload.blobs.items()})


def body(payload: Payload) -> dict[str, Any]:
    """Return the body: the parameters, and beside them what the machine writes and publishes."""
    identity = {} if payload.is_pool else {"name": payload.name}
    return {
        **payload.parameters,
        **identity,
        "role": payload.role,
        "blobs": {name: _blob(blob) for name, blob in payload.blobs.items()},
        "directories": {str(path): mode for path, mode in payload.directories.items()},
        "files": [_file(file) for file in payload.files],
        "objects": [_object(entry) for entry in payload.objects],
    }


def _blob(blob: Blob) -> list[str]:
    return [blob.label, *(der.hex() for der in blob.der)]


def _file(file: NodeFile) -> list[Any]:
    return [str(file.path), file.mode, file.stage, _content(file.content)]


def _object(entry: ApiObject) -> list[Any]:
    fill = [[list(keys), _content(content)] for keys, content in entry.fill]
    return [entry.collection, entry.body, fill, entry.ttl_seconds]


def _content(content: Content) -> str | list[str | dict[str, str]]:
    if len(content) == 1 and isinstance(content[0], str):
        return content[0]
    return [
        piece if isinstance(piece, str) else {"pem" if isinstance(piece, Pem) else "b64": piece.blob}
        for piece in content
    ]
