"""The running cluster, looked at from outside. ``kubernetes`` is imported where it is used: it is slow."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from kgen.api.bundle import existing_bundle, first_token
from kgen.config.load import load
from kgen.secrets_bundle import membership

if TYPE_CHECKING:
    from kgen.cluster.bootstrap_token import Renewed
    from kgen.cluster.credential import Credential
    from kgen.cluster.servers import Server
    from kgen.cluster.status import Status
    from kgen.cluster.wait import Goal, Snapshot
    from kgen.config.model import Cluster
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
    """Wait until the listed machines, or those of ``only``, are Ready or registered; return what was seen last.

    ``server`` is asked instead of the cluster's endpoint and its masters' addresses.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle, an argument or the endpoint is at fault.
        KgenError: the time is up.
    """
    from kgen.cluster import wait as waiting

    view = _outside(cluster_file, server)
    return waiting.wait(
        view.cluster, view.credential, view.servers, goal=goal, timeout=timeout, only=only, on_snapshot=on_snapshot
    )


def status(cluster_file: Path, *, server: str = "") -> Status:
    """Return what the running cluster is, and where it differs from the cluster file.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle, an argument or the endpoint is at fault.
        KgenError: the cluster cannot be reached, or refuses.
    """
    from kgen.cluster import status as looking
    from kgen.cluster.connection import connect

    view = _outside(cluster_file, server)
    found = connect(view.servers, view.credential)
    return looking.status(view.cluster, view.bundle, found.connection, found.obstacle, datetime.now(UTC))


def renew_token(cluster_file: Path, *, ttl: timedelta | None = None, server: str = "") -> Renewed:
    """Publish the bundle's first bootstrap token, which all documents carry, again; ``ttl`` as in the cluster file.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle, an argument or the endpoint is at fault.
        KgenError: the cluster cannot be reached, or refuses.
    """
    from kgen.cluster import bootstrap_token
    from kgen.cluster.connection import connect

    view = _outside(cluster_file, server)
    settings, token = first_token(view.cluster, view.bundle)
    connection = connect(view.servers, view.credential).connection
    wanted = settings.ttl if ttl is None else ttl
    patience = bootstrap_token.SIGNER_SECONDS
    return bootstrap_token.renew(connection, settings, token, datetime.now(UTC), wanted, patience)


@dataclass(frozen=True, slots=True)
class _Outside:
    """What it takes to look at the running cluster: what it shall be, a credential, and where to ask."""

    cluster: Cluster
    bundle: Bundle
    credential: Credential
    servers: tuple[Server, ...]


def _outside(cluster_file: Path, server: str) -> _Outside:
    from kgen.cluster.credential import credential
    from kgen.cluster.servers import candidates

    cluster = load(cluster_file).cluster
    bundle = existing_bundle(cluster_file)
    membership.refuse_other_masters(bundle, cluster)
    return _Outside(cluster, bundle, credential(bundle, datetime.now(UTC)), candidates(cluster, server))
