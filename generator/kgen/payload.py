"""The payload of a machine, before any format: files, API objects and parameters of the steps.

docs/reference/payload.md describes the JSON that the runner reads. Key material is there once, as DER, in ``blobs``;
files and objects refer to it, so that text around it stays text and compresses.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Literal

from kgen.model import Role

FORMAT = 2
"""The format of payload.json; the first-boot program says which ones it takes (kgen/runner/payload.py)."""
FORMAT_WITH_OWN_VALUES = 3
"""The format of a payload with values that only the machine knows: an older program cannot fill them in."""
FORMAT_SEALED = 4
"""The format of a payload that its machine must open first: inside, there is one of the other formats."""
FORMAT_WITH_STORED_TOKEN = 5
"""The format of a payload whose bootstrap token is in Parameter Store: an older program cannot fetch it."""
Stage = Literal["files", "etcd", "apiserver", "controllers"]


@dataclass(frozen=True, slots=True)
class Pem:
    """The PEM text of a blob, at this place of a content."""

    blob: str


@dataclass(frozen=True, slots=True)
class PemBase64:
    """The base64 of the PEM text of a blob, as kubeconfigs hold it."""

    blob: str


@dataclass(frozen=True, slots=True)
class OwnValue:
    """A value that only the machine knows: its kind, its argument, and what else the machine needs to find it."""

    kind: str
    argument: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the value as a cluster file has it."""
        return f"{{{'metadata' if self.kind == 'label' else self.kind}: {self.argument}}}"


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A bootstrap token that the machine fetches: the name of the parameter in AWS's Parameter Store."""

    parameter: str

    def __str__(self) -> str:
        """Return what stands in the place of the token in a file for people."""
        return f"{{ssm: {self.parameter}}}"


Content = tuple[str | Pem | PemBase64 | OwnValue | StoredToken, ...]


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
    """Return the text of ``content`` with every reference to a blob filled in; values of the machine stay."""
    return "".join(_expand_piece(piece, blobs) for piece in content)


def _expand_piece(piece: str | Pem | PemBase64 | OwnValue | StoredToken, blobs: Mapping[str, Blob]) -> str:
    if isinstance(piece, str | OwnValue | StoredToken):
        return str(piece)
    pem = blobs[piece.blob].pem
    return pem if isinstance(piece, Pem) else base64.b64encode(pem.encode()).decode()


@dataclass(frozen=True, slots=True)
class NodeFile:
    """A file on the node. Directories above it are made with 0755 unless listed in ``Payload.directories``.

    ``stage`` says when the runner writes it: ``files`` before the kubelet starts, the static pods later, each in
    its own stage. ``owner`` is ``user:group`` if it is not root's.
    """

    path: PurePosixPath
    content: Content = field(repr=False)
    mode: int = 0o600
    stage: Stage = "files"
    owner: str = ""


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
    """Everything for one machine or pool. ``parameters`` are the steps' own values (docs/reference/payload.md).

    ``cloud_init`` are the user's keys of cloud-init, which stand beside the payload in a document. ``network`` is
    cloud-init's network-config, which stands beside the document in a seed.
    """

    name: str
    role: Role
    is_pool: bool
    files: tuple[NodeFile, ...]
    directories: Mapping[PurePosixPath, int]
    blobs: Mapping[str, Blob] = field(repr=False)
    objects: tuple[ApiObject, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cloud_init: Mapping[str, Any] = field(default_factory=dict, repr=False)
    network: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_own_values(self) -> bool:
        """Return whether the machine must fill in values that only it knows."""
        return self._has(OwnValue)

    @property
    def has_stored_token(self) -> bool:
        """Return whether the machine must fetch its bootstrap token."""
        return self._has(StoredToken)

    def _has(self, kind: type) -> bool:
        return any(isinstance(piece, kind) for file in self.files for piece in file.content)

    @property
    def format(self) -> int:
        """Return the format of its payload.json."""
        if self.has_stored_token:
            return FORMAT_WITH_STORED_TOKEN
        return FORMAT_WITH_OWN_VALUES if self.has_own_values else FORMAT

    @property
    def expiry(self) -> datetime:
        """Return when the first certificate that the machine gets expires."""
        return datetime.fromtimestamp(min(until for _, until in self.parameters["validity"].values()), UTC)
