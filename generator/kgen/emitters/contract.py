"""The input and the result of an emitter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from kgen.model import Cluster, Role
from kgen.output.artifacts import Artifact
from kgen.payload import Payload
from kgen.secrets_bundle.model import SealKey
from kgen.user_data.stub import Store

Kept = Callable[[PurePosixPath, bytes], bytes | None]
"""Return the gzip of a document's text that an earlier render left at a path; None if there is none."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The input of emitters, apart from the payloads.

    ``users`` are cloud-init's entries with password hashes in place. ``reviewed`` names the machines and pools that
    get files for people to read. ``kept`` finds what an earlier render compressed. ``members`` are the named machines
    of each pool. ``seal_keys`` are those of machines and pools, by name. ``store`` is where objects are published.
    ``stubs`` are the texts that seeds hold in place of documents, by machine; None: seeds hold documents.
    """

    cluster: Cluster
    users: Sequence[Mapping[str, Any]] = field(repr=False)
    reviewed: frozenset[str]
    kept: Kept
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seal_keys: Mapping[str, SealKey] = field(default_factory=dict)
    store: Store | None = None
    stubs: Mapping[str, bytes] | None = None


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """One finished document, for tables and the lock file.

    The cloud gets the file ``path``. ``provider`` is the cluster file's, empty if it names none. ``counted_bytes``
    is the size as the provider counts it, against ``limit_bytes`` (None: no limit). ``sha256`` is of the
    uncompressed text. ``expiry`` is when the first certificate in the document expires. ``largest_parts`` are filled
    only for a document over its limit.
    """

    machine: str
    role: Role
    is_pool: bool
    path: PurePosixPath
    provider: str
    counted_bytes: int
    limit_bytes: int | None
    encoding: str
    sha256: str
    expiry: datetime
    largest_parts: tuple[tuple[str, int], ...] = ()

    @property
    def is_too_large(self) -> bool:
        """Return whether the provider refuses the document."""
        return self.limit_bytes is not None and self.counted_bytes > self.limit_bytes


Emit = Callable[[Payload], Iterable[Artifact | DocumentInfo]]
"""Return the files of one machine or pool; a DocumentInfo follows the files of its document."""

Emitter = Callable[[Setting], Emit]
"""Compute once what the files of all machines share, and return what makes the files of each."""
