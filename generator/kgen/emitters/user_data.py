"""``user-data/<machine>.yaml.gz``: the document that the cloud gets, and the same document readable.

Where the cloud gets a stub instead, they are in ``documents/``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from kgen import engine
from kgen.emitters.contract import DocumentInfo, Emit, Setting
from kgen.facts.providers import PROVIDERS, Provider
from kgen.firstboot import program
from kgen.model import Cluster
from kgen.output.artifacts import Artifact
from kgen.payload import Payload
from kgen.user_data import document as documents
from kgen.user_data import sealing, size
from kgen.user_data.document import Document, Shared


class Texts:
    """The documents as texts, in pieces. What documents share is computed once."""

    def __init__(self, setting: Setting, *, is_text: bool) -> None:
        """``is_text``: the documents are for a provider that takes no gzip."""
        self._setting = setting
        self._is_text = is_text
        self._parts: dict[tuple[str, str, tuple[str, ...]], Shared] = {}

    def of(self, payload: Payload) -> tuple[str, Shared, str]:
        """Return the beginning of the machine's document, its middle and its end."""
        cluster = self._setting.cluster
        first = documents.opening(cluster, payload)
        told = sealing.payload_text(cluster, payload, self._setting.seal_keys)
        # What is sealed is compressed already.
        return first, self.shared(payload), documents.ending(told, is_text=self._is_text and not cluster.seals)

    def shared(self, payload: Payload) -> Shared:
        """Return what all documents of one role with the same keys of cloud-init share."""
        cluster = self._setting.cluster
        extras = program.extras(cluster, payload)
        key = payload.role, repr(payload.cloud_init), extras
        if key not in self._parts:
            runner = None
            if cluster.runner == "embedded":
                runner = program.program(payload.role, with_comments=False, extras=extras)
            self._parts[key] = documents.shared(cluster, payload.role, runner, self._setting.users, payload.cloud_init)
        return self._parts[key]


def receiver(cluster: Cluster) -> Provider | None:
    """Return the provider that gets the documents; None: the cluster file names none, or it gets stubs instead."""
    return None if cluster.secrets_by_reference else PROVIDERS.get(cluster.provider)


def emitter(setting: Setting) -> Emit:
    """Return the function that makes a machine's document."""
    cluster = setting.cluster
    provider = receiver(cluster)
    is_text = not size.takes_gzip(provider)
    texts = Texts(setting, is_text=is_text)

    def emit(payload: Payload) -> Iterator[Artifact | DocumentInfo]:
        first, shared, last = texts.of(payload)
        content = shared.text(first, last)
        path = _path(payload, ".yaml.gz")
        compressed = setting.kept(path, content)
        document = Document(content, compressed) if compressed else None
        if document is None or not size.fits(document, provider):
            document = shared.document(first, last)
        info = _info(payload, document)
        yield Artifact(path, document.compressed, digest_of=document.text)
        is_reviewed = payload.name in setting.reviewed
        if is_text or is_reviewed:  # a document of plain text is what the cloud gets
            yield Artifact(_path(payload, ".yaml"), document.text)
        if is_reviewed:
            engine.check_yaml(document.text)
        yield info

    def _info(payload: Payload, document: Document) -> DocumentInfo:
        encoding, counted = size.counted(document, provider)
        limit = provider.limit_bytes if provider else None
        is_too_large = limit is not None and counted > limit
        return DocumentInfo(
            machine=payload.name,
            role=payload.role,
            is_pool=payload.is_pool,
            path=_path(payload, ".yaml" if encoding == "text" else ".yaml.gz"),
            provider=cluster.provider,
            counted_bytes=counted,
            limit_bytes=limit,
            encoding=encoding,
            sha256=hashlib.sha256(document.text).hexdigest(),
            expiry=payload.expiry,
            largest_parts=size.largest_parts(payload, texts.shared(payload).content) if is_too_large else (),
        )

    def _path(payload: Payload, suffix: str) -> PurePosixPath:
        return documents.directory(cluster) / (payload.name + suffix)

    return emit
