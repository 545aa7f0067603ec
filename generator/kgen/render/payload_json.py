"""Payload → payload.json, as docs/reference/payload.md describes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from kgen import payload as model
from kgen.payload import ApiObject, Content, NodeFile, Payload, Pem
from kgen.render import points


def canonical(value: object) -> str:
    """Return the one JSON text of ``value``: keys sorted, no blanks, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


# A gzip's window is 32 KiB: objects and files repeat the runner's words and each other's, so they follow it; digits,
# which repeat nothing, come last.
_LAST = ("edits", "objects", "files", "blobs")


def seal(whole: Mapping[str, Any], runner_sha256: str, part: Mapping[str, Any] | None = None) -> str:
    """Return the text of payload.json around a body; ``part`` of it travels, what is missing is in the image.

    Public keys that the runner computes do not travel. ``sha256`` is that of the whole body, so it proves them. The
    order of the body's keys is that in which it compresses best.
    """
    sent = {**(part or whole), "blobs": points.left_out(whole["blobs"])}
    keys = [*sorted(sent.keys() - _LAST), *(key for key in _LAST if key in sent)]
    ordered = ",".join(f"{canonical(key)}:{canonical(sent[key])}" for key in keys)
    return f'{{"format":{model.FORMAT},"runner":"{runner_sha256}","sha256":"{checksum(whole)}","body":{{{ordered}}}}}'


def checksum(whole: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a body, as the runner computes it: of what Python makes of it with its keys sorted."""
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode("ascii")).hexdigest()


def key_material(payload: Payload) -> str:
    """Return the part of the encoded payload that holds the blobs."""
    return canonical(points.left_out(_blobs(payload)))


def body(payload: Payload) -> dict[str, Any]:
    """Return the body: the parameters, and beside them what the machine writes and publishes."""
    identity = {} if payload.is_pool else {"name": payload.name}
    curve = points.curve_of(_blobs(payload))
    numbers = {"curve": [curve.prime, *curve.base]} if curve else {}
    published = {"objects": [_object(entry) for entry in payload.objects]} if payload.role == "master" else {}
    return {
        **payload.parameters,
        **identity,
        **numbers,
        **published,
        "role": payload.role,
        "blobs": _blobs(payload),
        "directories": {str(path): mode for path, mode in payload.directories.items()},
        "files": [_file(file) for file in payload.files],
    }


def _blobs(payload: Payload) -> dict[str, list[str]]:
    return {name: [blob.label, *(der.hex() for der in blob.der)] for name, blob in payload.blobs.items()}


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
