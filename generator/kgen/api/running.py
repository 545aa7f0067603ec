"""The running cluster, seen from outside. ``kubernetes`` is imported where it is used, because importing it is slow."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from kgen.api.bundle import existing_bundle
from kgen.config.load import load
from kgen.errors import KgenError
from kgen.secrets_bundle import membership, store

if TYPE_CHECKING:
    from kgen.model import Cluster
    from kgen.running.credential import Credential
    from kgen.running.etcd_snapshot import Snapshot as EtcdSnapshot
    from kgen.running.servers import Server
    from kgen.running.status import Status
    from kgen.running.wait import Goal, Snapshot
    from kgen.secrets_bundle.model import Bundle


def wait(
    cluster_file: Path,
    *,
    goal: Goal = "ready",
    timeout: timedelta = timedelta(minutes=15),
    only: Collection[str] = (),
    server: str = "",
    on_snapshot: Callable[[Snapshot], None] = lambda snapshot: None,
) -> Snapshot:
    """Wait until the listed machines, or those of ``only``, are Ready or registered; return the last snapshot.

    With ``server`` only this API server is asked, not the cluster's endpoint or its masters' addresses.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle, an argument or the endpoint is wrong.
        KgenError: the time is up.
    """
    from kgen.running import wait as waiting

    view = outside(cluster_file, server)
    has_answered = False

    def seen(snapshot: Snapshot) -> None:
        nonlocal has_answered
        if snapshot.server and not has_answered:
            record_running(cluster_file)
            has_answered = True
        on_snapshot(snapshot)

    return waiting.wait(
        view.cluster, view.credential, view.servers, goal=goal, timeout=timeout, only=only, on_snapshot=seen
    )


def status(cluster_file: Path, *, server: str = "") -> Status:
    """Return the state of the running cluster, and where it differs from the cluster file.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle, an argument or the endpoint is wrong.
        KgenError: the cluster cannot be reached, or refuses.
    """
    from kgen.running import status as looking
    from kgen.running.connection import connect

    view = outside(cluster_file, server)
    found = connect(view.servers, view.credential)
    record_running(cluster_file)
    return looking.status(view.cluster, view.bundle, found.connection, found.obstacle, datetime.now(UTC))


def etcd_snapshot(cluster_file: Path, path: Path, *, server: str = "") -> EtcdSnapshot:
    """Take a snapshot of etcd's data from a running master, check it, and write it to ``path``.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle or an argument is at fault, or ``path`` exists.
        KgenError: no etcd member answers, the snapshot is damaged, or the disk refuses.
    """
    from kgen.running import etcd_snapshot as snapshots

    cluster = load(cluster_file).cluster
    bundle = existing_bundle(cluster_file)
    membership.refuse_other_masters(bundle, cluster)
    return snapshots.take(cluster, bundle, snapshots.members(cluster, server), path)


def record_running(cluster_file: Path) -> None:
    """Record in the bundle that the cluster has run: documents rendered from now on do not let an empty etcd start.

    If the bundle cannot be written, nothing is recorded, because looking at a cluster needs no write permission.
    """
    path = store.path_for(cluster_file)
    with suppress(KgenError), store.locked(path):
        bundle = existing_bundle(cluster_file)
        if bundle.seen_running is None:
            store.write(path, replace(bundle, seen_running=datetime.now(UTC)))


@dataclass(frozen=True, slots=True)
class Outside:
    """The arguments of every look at the running cluster: the cluster file's content, a credential, API servers."""

    cluster: Cluster
    bundle: Bundle
    credential: Credential
    servers: tuple[Server, ...]


def outside(cluster_file: Path, server: str) -> Outside:
    """Return what a look at the running cluster needs.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle or an argument is wrong.
    """
    from kgen.running.credential import credential
    from kgen.running.servers import candidates

    cluster = load(cluster_file).cluster
    bundle = existing_bundle(cluster_file)
    membership.refuse_other_masters(bundle, cluster)
    return Outside(cluster, bundle, credential(bundle, datetime.now(UTC)), candidates(cluster, server))
