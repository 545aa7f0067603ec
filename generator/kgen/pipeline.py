"""Cluster + bundle → payloads → artifacts. Pure: no disk but templates, no clock, no randomness; decides nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from kgen.artifacts import Artifact
from kgen.config.model import Cluster, Machine, Role
from kgen.payload import ApiObject, Payload, expand
from kgen.providers import PROVIDERS
from kgen.render import (
    cloudinit,
    engine,
    files,
    image_texts,
    kubeconfig,
    objects,
    parameters,
    payload_json,
    runner_source,
    size,
)
from kgen.secrets_bundle import blobs, pod_ranges
from kgen.secrets_bundle.model import Bundle

_LONGEST_STEM = 240  # of a file's name, as file systems allow 255 bytes
REVIEW_ALL_UP_TO = 100
"""Above this many plain nodes, only the first of each group gets readable and review files, unless asked for."""


Kept = Callable[[PurePosixPath, bytes], bytes | None]
"""Returns the gzip of a document's text that an earlier render left at a path, None if there is none."""


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """One finished user-data document, for tables and the lock file.

    ``path`` is what the cloud gets. ``provider`` is the cluster file's, empty where it names none. ``counted_bytes``
    is the size as the provider counts it, against ``limit_bytes`` (None: no limit). ``sha256`` is of the
    uncompressed text. ``expiry``: when the first certificate in it ends.
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


class Pipeline:
    """Everything of one cluster; what its documents share is computed once."""

    def __init__(self, cluster: Cluster, bundle: Bundle) -> None:
        """Compute what is shared: the API objects, the nodes' texts, the heads of the documents."""
        cluster = pod_ranges.with_ranges(cluster, bundle.pod_ranges)
        self.cluster = cluster
        self.bundle = bundle
        self.provider = PROVIDERS.get(cluster.provider)
        self.objects = objects.api_objects(cluster, blobs.tokens(bundle))
        self._worker_files = files.WorkerFiles(cluster, blobs.tokens(bundle)[0])
        self._heads: dict[Role, cloudinit.Head] = {}
        self._seals: dict[Role, Callable[[Mapping[str, Any]], str]] = {}
        for role in sorted({machine.role for machine in cluster.documents}):
            runner = None
            if cluster.runner == "embedded":
                runner = runner_source.assemble(role, runner_source.document_modules(cluster, role))
                sha256 = hashlib.sha256(runner.encode()).hexdigest()
                self._seals[role] = partial(payload_json.seal, runner_sha256=sha256)
            else:
                self._seals[role] = image_texts.image_texts(cluster.kubernetes_version, role).seal
            self._heads[role] = cloudinit.head(cluster, role, runner, _users(cluster, bundle))

    def payload(self, machine: Machine) -> Payload:
        """Return what ``machine`` is told."""
        is_master = machine.role == "master"
        return Payload(
            name=machine.name,
            role=machine.role,
            is_pool=machine.is_pool,
            files=files.master_files(self.cluster, machine) if is_master else self._worker_files.of(machine),
            directories=files.directories(self.cluster, machine),
            blobs=blobs.machine_blobs(self.bundle, self.cluster, machine),
            objects=self.objects if is_master else (),
            parameters=parameters.parameters(self.cluster, machine, blobs.validity(self.bundle, machine)),
        )

    def document(self, payload: Payload, machine: Machine, kept: Kept = lambda path, text: None) -> cloudinit.Document:
        """Return the user-data document that carries ``payload``; its gzip is the one of ``kept`` unless too large."""
        text = self._seals[machine.role](payload_json.body(payload))
        tail = cloudinit.tail(self.cluster, machine, text, is_text=not size.takes_gzip(self.provider))
        head = self._heads[machine.role]
        content = head.text + tail.encode()
        if gzip := kept(_user_data_path(machine, ".yaml.gz"), content):
            document = cloudinit.Document(content, gzip)
            if size.fits(document, self.provider):
                return document
        document = head.document(tail, payload_json.key_material(payload))
        worth_it = size.is_tight(document, self.provider) if machine.role == "master" else machine.is_pool
        return cloudinit.packed(document) if worth_it and size.takes_gzip(self.provider) else document

    def artifacts(self, *, review_all: bool, kept: Kept = lambda path, text: None) -> Iterator[Artifact | DocumentInfo]:
        """Yield every file of the output, one machine at a time; a DocumentInfo follows the files of its document.

        What ``kept`` returns is used again.

        Raises:
            DocumentTooLargeError: after the last file, when documents are over the provider's limit.
        """
        yield from self._cluster_files()
        too_large: list[size.TooLarge] = []
        reviewed = self._reviewed(review_all=review_all)
        for machine in self.cluster.documents:
            payload = self.payload(machine)
            document = self.document(payload, machine, kept)
            info = self._info(machine, document)
            if info.limit_bytes is not None and info.counted_bytes > info.limit_bytes:
                runner = self._heads[machine.role].text
                too_large.append(size.too_large(machine.name, info.counted_bytes, info.limit_bytes, payload, runner))
            is_text = info.encoding == "text"  # then the readable file is what the cloud gets
            yield from _document_files(machine, document, readable=is_text or machine.name in reviewed)
            if machine.name in reviewed:
                engine.check_yaml(document.text)
                yield from _review_files(payload)
            yield info
        if too_large:
            raise size.DocumentTooLargeError(self.cluster, too_large)

    def _cluster_files(self) -> Iterator[Artifact]:
        first = self.cluster.masters[0]
        keys = blobs.machine_blobs(self.bundle, self.cluster, first)
        for name in ("admin", "super-admin"):
            content = kubeconfig.client(self.cluster, name, first)
            yield Artifact(PurePosixPath(f"{name}.conf"), expand(content, keys).encode())
        digits = len(str(len(self.objects)))
        for number, entry in enumerate(self.objects, start=1):
            yield Artifact(
                _api_path(f"{number:0{max(digits, 2)}}", entry), engine.to_yaml(entry.complete(keys)).encode()
            )

    def _reviewed(self, *, review_all: bool) -> frozenset[str]:
        nodes = [machine for machine in self.cluster.machines if machine.role == "node"]
        if review_all or len(nodes) <= REVIEW_ALL_UP_TO:
            return frozenset(machine.name for machine in self.cluster.documents)
        first_of_group: dict[Any, str] = {}
        for node in nodes:
            group = (tuple(sorted(node.labels)), node.taints, node.registration)
            first_of_group.setdefault(group, node.name)
        others = (machine.name for machine in self.cluster.documents if machine.is_pool or machine.role == "master")
        return frozenset([*first_of_group.values(), *others])

    def _info(self, machine: Machine, document: cloudinit.Document) -> DocumentInfo:
        encoding, counted = size.counted(document, self.provider)
        return DocumentInfo(
            machine=machine.name,
            role=machine.role,
            is_pool=machine.is_pool,
            path=_user_data_path(machine, ".yaml" if encoding == "text" else ".yaml.gz"),
            provider=self.cluster.provider,
            counted_bytes=counted,
            limit_bytes=self.provider.limit_bytes if self.provider else None,
            encoding=encoding,
            sha256=hashlib.sha256(document.text).hexdigest(),
            expiry=blobs.earliest_expiry(self.bundle, machine),
        )


def _user_data_path(machine: Machine, suffix: str) -> PurePosixPath:
    return PurePosixPath("user-data", machine.name + suffix)


def _api_path(number: str, entry: ApiObject) -> PurePosixPath:
    """Return ``api/NN-<kind>[-<namespace>]-<name>.yaml``; a colon, which some file systems refuse, becomes a dash."""
    words = [number, entry.kind.lower(), entry.namespace, entry.name.replace(":", "-")]
    return PurePosixPath("api", "-".join(word for word in words if word)[:_LONGEST_STEM] + ".yaml")


def _document_files(machine: Machine, document: cloudinit.Document, *, readable: bool) -> Iterator[Artifact]:
    yield Artifact(_user_data_path(machine, ".yaml.gz"), document.compressed, digest_of=document.text)
    if readable:
        yield Artifact(_user_data_path(machine, ".yaml"), document.text)


def _review_files(payload: Payload) -> Iterator[Artifact]:
    root = PurePosixPath("nodes", payload.name)
    for file in payload.files:
        content = expand(file.content, payload.blobs).encode()
        yield Artifact(root / file.path.relative_to("/"), content, mode=file.mode)


def _users(cluster: Cluster, bundle: Bundle) -> Sequence[Mapping[str, Any]]:
    """Return cloud-init's ``users`` with the kept hash where the file gives a plain password."""
    return [
        {**user.fields, "hashed_passwd": bundle.password_hashes[user.name]} if user.plain_text_password else user.fields
        for user in cluster.users
    ]
