"""Cluster + bundle → payloads → files of the output. Pure: it reads templates only, no clock and no randomness.

It decides what goes into a payload's parts and in which order files are made. ``content`` and ``firstboot`` decide
what the parts contain, ``emitters`` what a payload becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from kgen.content import files, objects
from kgen.emitters import review_tree
from kgen.emitters.cluster_files import cluster_files
from kgen.emitters.contract import DocumentInfo, Kept, Setting
from kgen.emitters.limits import DocumentTooLargeError
from kgen.emitters.seed import SeedFiles
from kgen.emitters.table import EMITTERS
from kgen.firstboot import parameters
from kgen.model import Cluster, Machine
from kgen.output.artifacts import Artifact
from kgen.payload import NodeFile, Payload
from kgen.secrets_bundle import blobs, encryption, pod_ranges
from kgen.secrets_bundle.model import Bundle
from kgen.user_data.stub import Store


def _nothing_kept(path: PurePosixPath, text: bytes) -> None:
    """Find no earlier gzip."""


class Pipeline:
    """Everything of one cluster; what its payloads share is computed once."""

    def __init__(self, cluster: Cluster, bundle: Bundle) -> None:
        """Compute what is shared: the API objects, and the texts of the nodes' files."""
        cluster = pod_ranges.with_ranges(cluster, bundle.pod_ranges)
        external, intermediate = bundle.external_authorities, bundle.intermediate_authorities
        cluster = replace(cluster, pki=replace(cluster.pki, external=external, intermediate=intermediate))
        cluster = encryption.with_keys(cluster, bundle.encryption_keys)
        self.cluster = cluster
        self.bundle = bundle
        self.objects = objects.api_objects(cluster, blobs.tokens(bundle))
        self._worker_files = files.WorkerFiles(cluster, bundle.tokens[0], bundle.pool_tokens)

    def payload(self, machine: Machine) -> Payload:
        """Return everything for ``machine``."""
        is_master = machine.role == "master"
        return Payload(
            name=machine.name,
            role=machine.role,
            is_pool=machine.is_pool,
            files=self._files(machine),
            directories=files.directories(self.cluster, machine),
            blobs=blobs.machine_blobs(self.bundle, self.cluster, machine),
            objects=self.objects if is_master else (),
            parameters=parameters.parameters(
                self.cluster,
                machine,
                blobs.validity(self.bundle, self.cluster, machine),
                may_start_empty=self.bundle.seen_running is None,
            ),
            cloud_init=machine.cloud_init,
            network=machine.network,
        )

    def _files(self, machine: Machine) -> tuple[NodeFile, ...]:
        if machine.role == "node":
            return self._worker_files.of(machine)
        return files.master_files(self.cluster, machine)

    def artifacts(self, *, review_all: bool, kept: Kept = _nothing_kept) -> Iterator[Artifact | DocumentInfo]:
        """Yield every file of the output, one machine at a time; a DocumentInfo follows the files of its document.

        ``kept`` finds the gzip of an unchanged document, which is used again.

        Raises:
            DocumentTooLargeError: after the last file, when documents are over the provider's limit.
        """
        first = blobs.machine_blobs(self.bundle, self.cluster, self.cluster.masters[0])
        yield from cluster_files(self.cluster, self.objects, first)
        yield from self.machine_artifacts(self.cluster.documents, review_all=review_all, kept=kept)

    def machine_artifacts(
        self, machines: Sequence[Machine], *, review_all: bool, kept: Kept
    ) -> Iterator[Artifact | DocumentInfo]:
        """Yield the files of these machines and pools, as ``artifacts`` does."""
        reviewed = review_tree.reviewed(self.cluster, review_all=review_all)
        setting = self._setting(reviewed, kept)
        too_large = []
        for made in self._emitted("render", setting, machines):
            if isinstance(made, DocumentInfo) and made.is_too_large:
                too_large.append(made)
            yield made
        if too_large:
            raise DocumentTooLargeError(self.cluster, too_large)

    def seeds(
        self, members: Mapping[str, Sequence[str]], stubs: Mapping[str, bytes] | None = None
    ) -> Iterator[Artifact]:
        """Yield the NoCloud seed of every machine and pool, and of the ``members`` of each pool.

        With ``stubs``, only of machines that have one, and with the stub in place of the document.
        """
        setting = self._setting(frozenset(), members=members, stubs=stubs)
        machines = [each for each in self.cluster.documents if stubs is None or each.name in stubs]
        for made in self._emitted("seed", setting, machines):
            if isinstance(made, Artifact):
                yield made

    def seed_files(self) -> Callable[[Machine, str], Mapping[str, bytes]]:
        """Return a function: a machine or pool, and "" or a machine of the pool → the files of its NoCloud seed."""
        seeds = SeedFiles(self._setting(frozenset()))
        return lambda machine, member: seeds.of(self.payload(machine), member)

    def published(
        self, store: Store, kept: Kept = _nothing_kept, only: Collection[str] | None = None
    ) -> Iterator[Artifact | DocumentInfo]:
        """Yield the object of every machine and pool as it is in ``store``, and its stub; with ``only``, of these.

        ``kgen serve`` has none for pools: a token that is good once is for one machine.
        """
        setting = self._setting(frozenset(), kept, store=store)
        machines = self.cluster.machines if store.service == "serve" else self.cluster.documents
        yield from self._emitted("publish", setting, [it for it in machines if only is None or it.name in only])

    def _setting(self, reviewed: frozenset[str], kept: Kept = _nothing_kept, **more: Any) -> Setting:
        users, seal_keys = _users(self.cluster, self.bundle), self.bundle.seal_keys
        return Setting(self.cluster, users, reviewed, kept, seal_keys=seal_keys, **more)

    def _emitted(self, verb: str, setting: Setting, machines: Sequence[Machine]) -> Iterator[Artifact | DocumentInfo]:
        emits = [emitter(setting) for emitter in EMITTERS[verb]]
        for machine in machines:
            payload = self.payload(machine)
            for emit in emits:
                yield from emit(payload)


def _users(cluster: Cluster, bundle: Bundle) -> Sequence[Mapping[str, Any]]:
    """Return cloud-init's ``users`` with the kept hash where the file gives a plain password."""
    return [
        {**user.fields, "hashed_passwd": bundle.password_hashes[user.name]} if user.plain_text_password else user.fields
        for user in cluster.users
    ]
