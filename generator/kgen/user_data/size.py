"""The size of a document: as a provider counts it, and by its parts."""

from __future__ import annotations

import zlib

from kgen.facts.providers import Provider
from kgen.firstboot import payload_json
from kgen.payload import Payload
from kgen.user_data.document import Document


def takes_gzip(provider: Provider | None) -> bool:
    """Return whether documents are given to ``provider`` compressed."""
    return provider is None or provider.gzip


def counted(document: Document, provider: Provider | None) -> tuple[str, int]:
    """Return how the document is given to the provider, ``gzip`` or ``text``, and its bytes as the provider counts.

    Without a provider it is the gzip, as it is.
    """
    encoding = "gzip" if takes_gzip(provider) else "text"
    raw = len(document.text if encoding == "text" else document.compressed)
    return encoding, provider.count(raw) if provider else raw


def fits(document: Document, provider: Provider | None) -> bool:
    """Return whether ``provider`` takes the document."""
    return provider is None or provider.limit_bytes is None or counted(document, provider)[1] <= provider.limit_bytes


def parts(payload: Payload, shared: bytes) -> dict[str, int]:
    """Return the bytes of each part of a document, each compressed on its own: keys, files, objects, runner."""
    body = payload_json.body(payload)
    texts = {
        "keys and certificates": payload_json.canonical(body["blobs"]).encode(),
        "files": payload_json.canonical(body["files"]).encode(),
        "API objects": payload_json.canonical(body.get("objects", [])).encode(),
        "runner and what all documents share": shared,
    }
    return {name: len(zlib.compress(text, 9)) for name, text in texts.items()}


def largest_parts(payload: Payload, shared: bytes) -> tuple[tuple[str, int], ...]:
    """Return the three largest parts with their bytes, largest first."""
    return tuple(sorted(parts(payload, shared).items(), key=lambda part: part[1], reverse=True)[:3])
