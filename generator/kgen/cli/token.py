"""``kgen token``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from kgen.cli import arguments, console
from kgen.errors import KgenError


@click.group()
def token() -> None:
    """Use the cluster's bootstrap token, or publish it again."""


@token.command("join-command", short_help="Print the `kubeadm join` line of a node.")
@arguments.CLUSTER_FILE
def join_command(cluster_file: Path) -> None:
    """Print the `kubeadm join` line of a node that does not boot from kgen's user-data.

    The line holds the bootstrap token. The token exists from the first boot of the masters on, for its ttl.
    """
    from kgen import api

    console.out(api.join_command(cluster_file))


@token.command(short_help="Publish the same token again, with a new expiry.")
@arguments.CLUSTER_FILE
@click.option(
    "--ttl",
    type=arguments.Duration(),
    metavar="DURATION",
    help="How long it is valid from now on; 0: for ever.  [default: as in the cluster file]",
)
@arguments.SERVER
def renew(cluster_file: Path, ttl: timedelta | None, server: str) -> None:
    """Publish the same token again in the running cluster, with a new expiry.

    Machines boot with the user-data they have, and new ones join, until the token expires again. It is the token
    of the secrets bundle; it is not printed.
    """
    from kgen import api

    renewed = api.renew_token(cluster_file, ttl=ttl, server=server)
    until = f"until {renewed.expires:%Y-%m-%d %H:%M} UTC" if renewed.expires else "for ever"
    how = "created again" if renewed.created else "renewed"
    console.out(f"Secret {renewed.secret} {how}: the token is valid {until}")
    if renewed.signed == "signed":
        console.out("cluster-info is signed with it, so `kubeadm join` works too")
    elif renewed.signed == "missing":
        console.note("there is no cluster-info, which `kubeadm join` needs; machines with kgen's user-data do not")
    elif renewed.signed == "unsigned":
        raise KgenError(
            "the token is valid, but cluster-info has not been signed with it: `kubeadm join` does not work yet",
            "the kube-controller-manager signs it: does it run? `kgen status` shows it",
        )
