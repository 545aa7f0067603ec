"""How large a document is for a provider, and what to say when it is too large."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from kgen.config.model import Cluster
from kgen.errors import InputError
from kgen.payload import Payload
from kgen.providers import Provider
from kgen.render import payload_json
from kgen.render.cloudinit import Document

_ROOMY = 0.75  # of the limit


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
    return _within(document, provider, 1)


def is_tight(document: Document, provider: Provider | None) -> bool:
    """Return whether the document takes so much of what ``provider`` allows that a slow compressor is worth it."""
    return takes_gzip(provider) and not _within(document, provider, _ROOMY)


def _within(document: Document, provider: Provider | None, share: float) -> bool:
    if provider is None or provider.limit_bytes is None:
        return True
    return counted(document, provider)[1] <= provider.limit_bytes * share


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A document over the limit; ``parts`` are its three largest, compressed on their own, largest first."""

    machine: str
    counted_bytes: int
    limit_bytes: int
    parts: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        """Return one line for people."""
        parts = ", ".join(f"{name} {count:,}" for name, count in self.parts)
        return f"{self.machine}: {self.counted_bytes:,} bytes of {self.limit_bytes:,} (largest parts: {parts})"


def split(payload: Payload, head: bytes) -> dict[str, int]:
    """Return the bytes of each part of a document, each compressed on its own: keys, files, objects, runner."""
    body = payload_json.body(payload)
    parts = {
        "keys and certificates": payload_json.key_material(payload).encode(),
        "files": payload_json.canonical(body["files"]).encode(),
        "API objects": payload_json.canonical(body.get("objects", [])).encode(),
        "runner and what all documents share": head,
    }
    return {name: len(zlib.compress(text, 9)) for name, text in parts.items()}


def too_large(machine: str, counted_bytes: int, limit_bytes: int, payload: Payload, head: bytes) -> TooLarge:
    """Return the finding for one document."""
    largest = sorted(split(payload, head).items(), key=lambda part: part[1], reverse=True)[:3]
    return TooLarge(machine, counted_bytes, limit_bytes, tuple(largest))


class DocumentTooLargeError(InputError):
    """Documents exceed the provider's limit; nothing was written."""

    def __init__(self, cluster: Cluster, found: Sequence[TooLarge]) -> None:
        """Name every document that does not fit, and what would help this cluster."""
        shown = [str(entry) for entry in found[:10]]
        if len(found) > len(shown):
            shown.append(f"… and {len(found) - len(shown)} more")
        super().__init__(
            f"user-data over the limit of {cluster.provider}:\n  " + "\n  ".join(shown), "; ".join(_remedies(cluster))
        )


def _remedies(cluster: Cluster) -> list[str]:
    remedies = []
    if cluster.encryption_algorithm.startswith("RSA"):
        remedies.append("RSA keys do not compress: use `encryptionAlgorithm: ECDSA-P256`")
    if cluster.runner == "embedded":
        remedies.append("put the runner into the image: `image: {runner: baked}`")
    if cluster.manifests:
        remedies.append("apply large objects with kubectl once the cluster is up, not by `manifests:`")
    remedies.append("deliver the document from a place without this limit (a NoCloud seed)")
    return remedies
