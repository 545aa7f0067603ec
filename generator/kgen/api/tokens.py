"""The bootstrap tokens of a running cluster: publish them again, or replace one by a new one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kgen.api.bundle import existing_bundle, first_token
from kgen.api.running import Outside, outside, record_running
from kgen.config.durations import go_duration
from kgen.errors import InputError, KgenError, command
from kgen.model import BootstrapToken, Cluster
from kgen.secrets_bundle import blobs, store
from kgen.secrets_bundle.model import Bundle, OldToken
from kgen.secrets_bundle.populate import new_token
from kgen.secrets_bundle.source import Source

if TYPE_CHECKING:
    from kgen.running.bootstrap_token import Renewed, Signed, Use
    from kgen.running.connection import Connection

_LEAST_INTERVALS = 2
"""A token lives at least so many intervals: one run may fail."""
_LEFT_ALONE_INTERVALS = 3
"""A token that lives so many intervals longer is left alone: the next run may fail, and the one after it start late."""


@dataclass(frozen=True, slots=True)
class RenewedToken:
    """A token in the cluster. ``pool``: whose it is; empty: that of the machines without one of their own.

    ``secret`` is ``namespace/name``. ``expires`` is None if it never expires. ``renewed``: it was published again;
    ``created``: its Secret was missing. ``signed``: the state of cluster-info, if it was published again.
    """

    pool: str
    secret: str
    expires: datetime | None
    renewed: bool = False
    created: bool = False
    signed: Signed | None = None


def renew_tokens(
    cluster_file: Path,
    pools: Collection[str] = (),
    *,
    ttl: timedelta | None = None,
    every: timedelta | None = None,
    server: str = "",
) -> tuple[RenewedToken, ...]:
    """Publish the tokens in the documents again: all, or those of ``pools`` only.

    One that fails does not keep the others from it: the first failure is raised at the end. Each lives for ``ttl`` from
    now on, or as long as the cluster file says. With ``every``, the interval at which this is run, a token is left
    alone if it lives three intervals longer.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle, an argument or the endpoint is wrong.
        KgenError: the cluster cannot be reached, or refuses.
    """
    view = outside(cluster_file, server)
    chosen = {name: _of_pool(cluster_file, view.cluster, view.bundle, name) for name in pools} or {
        "": first_token(view.cluster, view.bundle),
        **{name: _of_pool(cluster_file, view.cluster, view.bundle, name) for name in view.cluster.pool_tokens},
    }
    if every is not None:
        _refuse_rare_runs(chosen, ttl, every)
    connection = _connect(cluster_file, view)
    renewed, failed = [], []
    for pool, (settings, token) in chosen.items():
        try:
            renewed.append(_renew(connection, pool, settings, token, ttl, every))
        except KgenError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return tuple(renewed)


def _renew(
    connection: Connection,
    pool: str,
    settings: BootstrapToken,
    token: str,
    ttl: timedelta | None,
    every: timedelta | None,
) -> RenewedToken:
    from kgen.running import bootstrap_token

    now = datetime.now(UTC)
    if every is not None:
        found = bootstrap_token.look(connection, token)
        if found.exists and may_be_left_alone(found.expires, now, every):
            return RenewedToken(pool, found.secret, found.expires)
    made = _publish(connection, settings, token, ttl)
    return RenewedToken(pool, made.secret, made.expires, renewed=True, created=made.created, signed=made.signed)


def may_be_left_alone(expires: datetime | None, now: datetime, every: timedelta) -> bool:
    """Return whether a token need not be published again by a run at ``now``, one of each interval ``every``."""
    return expires is None or expires >= now + _LEFT_ALONE_INTERVALS * every


def _publish(connection: Connection, settings: BootstrapToken, token: str, ttl: timedelta | None) -> Renewed:
    from kgen.running import bootstrap_token

    life = settings.ttl if ttl is None else ttl
    return bootstrap_token.renew(connection, settings, token, datetime.now(UTC), life, bootstrap_token.SIGNER_SECONDS)


def _refuse_rare_runs(
    chosen: Mapping[str, tuple[BootstrapToken, str]], ttl: timedelta | None, every: timedelta
) -> None:
    if not every:
        raise InputError(
            "--every is 0, and no schedule runs so often", "give the interval of the schedule: --every 30m"
        )
    for pool, (settings, _) in chosen.items():
        life = settings.ttl if ttl is None else ttl
        if life and life < _LEAST_INTERVALS * every:
            whose = f"the token of pool {pool}" if pool else "the token"
            raise InputError(
                f"{whose} lives for {go_duration(life)}, and would expire if one run every {go_duration(every)} fails",
                f"run this every {go_duration(life / _LEAST_INTERVALS)} or more often, or give a longer --ttl",
            )


def _of_pool(cluster_file: Path, cluster: Cluster, bundle: Bundle, name: str) -> tuple[BootstrapToken, str]:
    """Return settings and text of a pool's own token.

    Raises:
        InputError: the pool has none, or a render must make it first.
    """
    settings = cluster.pool_tokens.get(name)
    if settings is None:
        if name not in {pool.name for pool in cluster.pools}:
            names = ", ".join(pool.name for pool in cluster.pools)
            raise InputError(f"there is no pool {name!r}", f"the names are: {names}" if names else "it has no pools")
        hint = f"add `bootstrapToken: {{ttl: 1h}}` to the pool in {cluster_file}, or leave out --pool"
        raise InputError(f"the pool {name} has no token of its own: it joins with the cluster's", hint)
    if name not in bundle.pool_tokens:
        raise InputError(f"the token of pool {name} is not made yet", f"`{command('render', cluster_file)}` makes it")
    return settings, bundle.pool_tokens[name]


def _connect(cluster_file: Path, view: Outside) -> Connection:
    from kgen.running.connection import connect

    connection = connect(view.servers, view.credential).connection
    record_running(cluster_file)
    return connection


@dataclass(frozen=True, slots=True)
class Rotation:
    """The result of a step of a rotation.

    ``stage``: ``added``, the new token is valid beside the old one; ``waiting``, the old one still is; ``revoked``.
    ``new`` and ``old`` are the public halves. ``expires`` is when the new token does, ``old_expires`` when the old one
    does; None: never. ``uses`` are machines that have used the old token since the rotation began, ``missing`` the
    listed nodes that are not in the cluster.
    """

    stage: Literal["added", "waiting", "revoked"]
    new: str
    old: str
    expires: datetime | None = None
    old_expires: datetime | None = None
    uses: tuple[Use, ...] = ()
    missing: tuple[str, ...] = ()


def rotate_token(cluster_file: Path, pool: str = "", *, moved: bool = False, server: str = "") -> Rotation:
    """Take the next step of the rotation of the token of ``pool``, or of the machines without one of their own.

    First a new token is published, and is in the bundle from then on. A step that finds it missing or expired, for
    example after an interruption, publishes it again. The next step revokes the old token: once it has
    expired, or with ``moved``: no machine starts with the old user-data any more.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle, an argument or the endpoint is wrong.
        KgenError: the cluster cannot be reached, or refuses.
    """
    view = outside(cluster_file, server)
    settings, token = _chosen(cluster_file, view.cluster, view.bundle, pool)
    connection = _connect(cluster_file, view)
    old = next((each for each in view.bundle.old_tokens if each.pool == pool), None)
    if old is None:
        if moved:
            hint = f"`{command('token rotate', cluster_file, *_option(pool))}` without --moved begins one"
            raise InputError("no rotation of this token is under way", hint)
        return _add(cluster_file, connection, settings, pool)
    from kgen.running import bootstrap_token

    if not bootstrap_token.look(connection, token).is_valid(datetime.now(UTC)):
        _publish(connection, settings, token, None)  # the first step was interrupted, or the new one has expired
    return _retire(cluster_file, connection, view.cluster, old, token, moved=moved)


def _chosen(cluster_file: Path, cluster: Cluster, bundle: Bundle, pool: str) -> tuple[BootstrapToken, str]:
    return _of_pool(cluster_file, cluster, bundle, pool) if pool else first_token(cluster, bundle)


def _add(cluster_file: Path, connection: Connection, settings: BootstrapToken, pool: str) -> Rotation:
    """Put a new token into the bundle, then publish it: the other way round, a full disk would leave one unknown."""
    from kgen.running import bootstrap_token

    path = store.path_for(cluster_file)
    with store.locked(path):
        bundle = existing_bundle(cluster_file)
        if any(each.pool == pool for each in bundle.old_tokens):
            raise KgenError("another kgen has just begun this rotation", "run the command again to see how far it is")
        made = new_token(blobs.tokens(bundle), Source())
        before = bundle.pool_tokens[pool] if pool else bundle.tokens[0]
        old = OldToken(before.partition(".")[0], datetime.now(UTC).replace(microsecond=0), pool)
        if pool:
            bundle = replace(bundle, pool_tokens={**bundle.pool_tokens, pool: made})
        else:
            bundle = replace(bundle, tokens=(made, *bundle.tokens[1:]))
        store.write(path, replace(bundle, old_tokens=(*bundle.old_tokens, old)))
    try:
        published = _publish(connection, settings, made, None)
    except KgenError as error:
        hint = f"`{command('token renew', cluster_file, *_option(pool))}` publishes it"
        raise KgenError(f"the new token is in {path}, but not in the cluster: {error.message}", hint) from error
    before_view = bootstrap_token.look(connection, old.token_id)
    return Rotation("added", made.partition(".")[0], old.token_id, published.expires, before_view.expires)


def _option(pool: str) -> tuple[str, ...]:
    return ("--pool", pool) if pool else ()


def _retire(
    cluster_file: Path, connection: Connection, cluster: Cluster, old: OldToken, token: str, *, moved: bool
) -> Rotation:
    from kgen.running import bootstrap_token

    new = token.partition(".")[0]
    found = bootstrap_token.look(connection, old.token_id)
    if found.is_valid(datetime.now(UTC)) and not moved:
        valid = bootstrap_token.look(connection, token)
        uses = bootstrap_token.uses(connection, old.token_id, old.since)
        there = {node["metadata"]["name"] for node in connection.items("list_node")} if not old.pool else set()
        nodes = [machine.name for machine in cluster.machines if machine.role == "node"] if not old.pool else []
        missing = tuple(name for name in nodes if name not in there)
        return Rotation("waiting", new, old.token_id, valid.expires, found.expires, uses, missing)
    bootstrap_token.revoke(connection, old.token_id)
    path = store.path_for(cluster_file)
    with store.locked(path):
        bundle = existing_bundle(cluster_file)
        kept = tuple(each for each in bundle.old_tokens if each.token_id != old.token_id)
        store.write(path, replace(bundle, old_tokens=kept))
    return Rotation("revoked", new, old.token_id)
