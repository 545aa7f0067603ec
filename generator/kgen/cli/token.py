"""``kgen token``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console
from kgen.errors import ExitCode, KgenError, command

if TYPE_CHECKING:
    from kgen.api import RenewedToken, Rotation

_TTL = click.option(
    "--ttl",
    type=arguments.Duration(),
    metavar="DURATION",
    help="How long it is valid from now on; 0: it never expires.  [default: as in the cluster file]",
)
_POOLS = click.option(
    "--pool", "pools", multiple=True, metavar="NAME", help="Only this pool's own token. May be given several times."
)


@click.group(short_help="Use, refresh or rotate the bootstrap token.")
def token() -> None:
    """Print the `kubeadm join` line, publish bootstrap tokens again, or replace one by a new one."""


@token.command("join-command", short_help="Print the `kubeadm join` line of a node.")
@arguments.CLUSTER_FILE
@arguments.JSON
def join_command(cluster_file: Path, as_json: bool) -> None:
    """Print the `kubeadm join` line of a node that does not boot from kgen's user-data.

    The line contains the bootstrap token. The token is valid from the first boot of the masters on, for its ttl.
    """
    from kgen import api

    command = api.join_command(cluster_file)
    if as_json:
        console.out_json({"command": command})
    else:
        console.out(command)


@token.command(short_help="Publish the same tokens again, with a new expiry.")
@arguments.CLUSTER_FILE
@_POOLS
@_TTL
@arguments.SERVER
@arguments.JSON
def renew(cluster_file: Path, pools: tuple[str, ...], ttl: timedelta | None, server: str, as_json: bool) -> None:
    """Publish the same tokens again in the running cluster, with a new expiry.

    Until they expire again, machines can join with the user-data they have. The tokens are those of the secrets bundle:
    the cluster's and those of pools. They are not printed.
    """
    from kgen import api

    tokens = api.renew_tokens(cluster_file, pools, ttl=ttl, server=server)
    _report(tokens, api.store_tokens(cluster_file, pools), as_json)


@token.command(short_help="Keep tokens valid: for a CronJob or a CI schedule.")
@arguments.CLUSTER_FILE
@click.option(
    "--every",
    type=arguments.Period(),
    metavar="DURATION",
    help="How often you run this: a token that lives three times as long is left alone.  [default: publish all now]",
)
@_POOLS
@_TTL
@arguments.SERVER
@arguments.JSON
def refresh(
    cluster_file: Path,
    every: timedelta | None,
    pools: tuple[str, ...],
    ttl: timedelta | None,
    server: str,
    as_json: bool,
) -> None:
    """Publish tokens again before they expire. It runs once and ends: a CronJob or a CI schedule repeats it.

    So an autoscaled pool can start machines at any time, with a token that expires soon after the refreshing ends.
    """
    from kgen import api

    tokens = api.renew_tokens(cluster_file, pools, ttl=ttl, every=every, server=server)
    _report(tokens, api.store_tokens(cluster_file, pools), as_json)


@token.command(short_help="Take the next step to a new token.")
@arguments.CLUSTER_FILE
@click.option("--pool", default="", metavar="NAME", help="This pool's own token, not the cluster's.")
@click.option("--moved", is_flag=True, help="No machine starts with the old user-data any more: revoke the old token.")
@arguments.SERVER
@arguments.JSON
def rotate(cluster_file: Path, pool: str, moved: bool, server: str, as_json: bool) -> int:
    """Take the next step: a new token is valid beside the old one, then the old one is revoked.

    Between the two, render, and give the new user-data to pools and to machines that have not booted. Exits 3 while the
    old token is still valid, and says who has used it.
    """
    from kgen import api

    done = api.rotate_token(cluster_file, pool, moved=moved, server=server)
    parameters = api.store_tokens(cluster_file, (pool,) if pool else ())
    if as_json:
        console.out_json({**_rotation(done), "parameters": parameters})
    else:
        for line in (*_lines(done, cluster_file, pool), *map(_stored, parameters)):
            console.out(line)
    return ExitCode.DIFFERENCE if done.stage == "waiting" else ExitCode.DONE


def _lines(done: Rotation, cluster_file: Path, pool: str) -> list[str]:
    rotate = command("token rotate", cluster_file, *(("--pool", pool) if pool else ()))
    revoke = f"`{rotate} --moved` revokes {done.old}"
    if done.stage == "revoked":
        return [f"token {done.old} is revoked; {done.new} is valid"]
    if done.stage == "added":
        which = f"the pool {pool}" if pool else "pools and machines that have not booted"
        return [
            f"token {done.new} is new, {_until(done.expires)}; {done.old} is still valid, {_until(done.old_expires)}",
            f"next: `{command('render', cluster_file)}`, and give {which} the new user-data",
            f"  when no machine starts with the old user-data any more: {revoke}",
            f"  `{rotate}` shows who has used it since",
        ]
    used = [f"  {use.node} used it at {use.when:%Y-%m-%d %H:%M:%S} UTC" for use in done.uses]
    missing = [f"  {name} is not in the cluster: its user-data must be the new one" for name in done.missing]
    return [
        f"token {done.old} is still valid, {_until(done.old_expires)}",
        *(used or ["  no machine has joined with it in the last hour, since the rotation began"]),
        *missing,
        f"next: when no machine starts with the old user-data any more, {revoke}",
    ]


def _until(expires: datetime | None) -> str:
    return f"until {expires:%Y-%m-%d %H:%M} UTC" if expires else "and never expires"


def _rotation(done: Rotation) -> dict[str, Any]:
    return {
        "stage": done.stage,
        "new": {"id": done.new, "expires": _date(done.expires)},
        "old": {"id": done.old, "expires": _date(done.old_expires)},
        "uses": [{"node": use.node, "when": _date(use.when)} for use in done.uses],
        "missing": list(done.missing),
    }


def _date(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def _stored(parameter: str) -> str:
    return f"the parameter {parameter} of AWS has the token"


def _report(tokens: Sequence[RenewedToken], parameters: Sequence[str], as_json: bool) -> None:
    if unsigned := [each for each in tokens if each.signed == "unsigned"]:
        raise KgenError(
            f"{unsigned[0].secret} is valid, but cluster-info has not been signed with it: `kubeadm join` does not work"
            " yet",
            "the kube-controller-manager signs it: check with `kgen status` that it runs",
        )
    if as_json:
        told = {"tokens": [_renewed(each) for each in tokens], "parameters": parameters}
        console.out_json(told)
        return
    for each in tokens:
        how = "created again" if each.created else "renewed" if each.renewed else "needs no refresh"
        whose = f" of pool {each.pool}" if each.pool else ""
        console.out(f"Secret {each.secret}{whose} {how}: the token is valid {_until(each.expires)}")
    for parameter in parameters:
        console.out(_stored(parameter))
    if any(each.signed == "signed" for each in tokens):
        console.out("cluster-info is signed, so `kubeadm join` works too")
    elif any(each.signed == "missing" for each in tokens):
        console.note("there is no cluster-info, which `kubeadm join` needs; machines with kgen's user-data do not")


def _renewed(each: RenewedToken) -> dict[str, Any]:
    return {
        "pool": each.pool,
        "secret": each.secret,
        "renewed": each.renewed,
        "created": each.created,
        "expires": _date(each.expires),
        "clusterInfo": each.signed,
    }
