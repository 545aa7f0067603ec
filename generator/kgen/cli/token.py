"""``kgen token``."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from pathlib import Path

import click

from kgen.cli import arguments, console
from kgen.errors import KgenError


@click.group(short_help="Use or renew the bootstrap token.")
def token() -> None:
    """Print the `kubeadm join` line, or publish the bootstrap token again."""


@token.command("join-command", short_help="Print the `kubeadm join` line of a node.")
@arguments.CLUSTER_FILE
@arguments.JSON
def join_command(cluster_file: Path, as_json: bool) -> None:
    """Print the `kubeadm join` line of a node that does not boot from kgen's user-data.

    The line contains the bootstrap token. The token is valid from the first boot of the masters on, for its ttl.
    """
    from kgen import api

    command = api.join_command(cluster_file)
    console.out(json.dumps({"command": command}, indent=2) if as_json else command)


@token.command(short_help="Publish the same token again, with a new expiry.")
@arguments.CLUSTER_FILE
@click.option(
    "--ttl",
    type=arguments.Duration(),
    metavar="DURATION",
    help="How long it is valid from now on; 0: it never expires.  [default: as in the cluster file]",
)
@arguments.SERVER
@arguments.JSON
def renew(cluster_file: Path, ttl: timedelta | None, server: str, as_json: bool) -> None:
    """Publish the same token again in the running cluster, with a new expiry.

    Until it expires again, machines can join with the user-data they have. The token is that of the secrets bundle;
    it is not printed.
    """
    from kgen import api

    renewed = api.renew_token(cluster_file, ttl=ttl, server=server)
    expires = renewed.expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if renewed.expires else None
    if as_json and renewed.signed != "unsigned":
        told = {"secret": renewed.secret, "created": renewed.created, "expires": expires, "clusterInfo": renewed.signed}
        console.out(json.dumps(told, indent=2))
        return
    until = f"until {renewed.expires:%Y-%m-%d %H:%M} UTC" if renewed.expires else "and never expires"
    how = "created again" if renewed.created else "renewed"
    if not as_json:
        console.out(f"Secret {renewed.secret} {how}: the token is valid {until}")
    if renewed.signed == "signed":
        console.out("cluster-info is signed with it, so `kubeadm join` works too")
    elif renewed.signed == "missing":
        console.note("there is no cluster-info, which `kubeadm join` needs; machines with kgen's user-data do not")
    elif renewed.signed == "unsigned":
        raise KgenError(
            "the token is valid, but cluster-info has not been signed with it: `kubeadm join` does not work yet",
            "the kube-controller-manager signs it: check with `kgen status` that it runs",
        )
