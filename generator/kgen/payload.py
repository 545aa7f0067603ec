"""What a machine is told, before it is wrapped into any format: files, API objects and parameters of the steps.

docs/reference/payload.md describes the JSON that the runner reads. Key material stands once, as DER, in ``blobs``;
files and objects refer to it, so that text around it stays text and compresses.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from kgen.config.model import Role

FORMAT = 1
Stage = Literal["files", "etcd", "apiserver", "controllers"]


@dataclass(frozen=True, slots=True)
class Pem:
    """The PEM text of a blob, at this place of a content."""

    blob: str


@dataclass(frozen=True, slots=True)
class PemBase64:
    """The base64 of the PEM text of a blob, as kubeconfigs hold it."""

    blob: str


Content = tuple[str | Pem | PemBase64, ...]


@dataclass(frozen=True, slots=True)
class Blob:
    """One piece of key material: DER blocks under one PEM label; more than one block is a certificate chain."""

    label: str
    der: tuple[bytes, ...] = field(repr=False)

    @property
    def pem(self) -> str:
        """Return the PEM text, 64 characters a line, as Go and OpenSSL write it."""
        return "".join(_pem(self.label, der) for der in self.der)


def _pem(label: str, der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def expand(content: Content, blobs: Mapping[str, Blob]) -> str:
    """Return the text of ``content`` with every reference to a blob filled in."""
    return "".join(_expand_piece(piece, blobs) for piece in content)


def _expand_piece(piece: str | Pem | PemBase64, blobs: Mapping[str, Blob]) -> str:
    if isinstance(piece, str):
        return piece
    pem = blobs[piece.blob].pem
    return pem if isinstance(piece, Pem) else base64.b64encode(pem.encode()).decode()


@dataclass(frozen=True, slots=True)
class NodeFile:
    """A file on the node. Directories above it are made with 0755 unless listed in ``Payload.directories``.

    ``stage`` says when the runner writes it: ``files`` before the kubelet starts, the static pods later, each in
    its own stage.
    """

    path: PurePosixPath
    content: Content = field(repr=False)
    mode: int = 0o600
    stage: Stage = "files"


@dataclass(frozen=True, slots=True)
class ApiObject:
    """An object the masters publish: POST ``body`` to ``collection``.

    ``fill`` puts expanded contents at key paths inside the body (cluster-info's kubeconfig holds the CA);
    ``ttl_seconds`` makes the runner set ``data.expiration`` of a token Secret to now + ttl.
    """

    collection: str
    body: Mapping[str, Any]
    fill: tuple[tuple[tuple[str, ...], Content], ...] = ()
    ttl_seconds: int | None = None

    @property
    def kind(self) -> str:
        """Return the object's kind."""
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        """Return the object's name."""
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Return the object's namespace, empty for cluster-wide kinds."""
        return str(self.body["metadata"].get("namespace", ""))

    def complete(self, blobs: Mapping[str, Blob]) -> dict[str, Any]:
        """Return a copy of the body with its contents filled in; only a token's expiration is left out."""
        body: dict[str, Any] = copy.deepcopy(dict(self.body))
        for keys, content in self.fill:
            place = body
            for key in keys[:-1]:
                place = place[key]
            place[keys[-1]] = expand(content, blobs)
        return body


@dataclass(frozen=True, slots=True)
class Payload:
    """Everything one machine or pool is told. ``parameters`` are the steps' own values (docs/reference/payload.md)."""

    name: str
    role: Role
    is_pool: bool
    files: tuple[NodeFile, ...]
    directories: Mapping[PurePosixPath, int]
    blobs: Mapping[str, Blob] = field(repr=False)
    objects: tuple[ApiObject, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
