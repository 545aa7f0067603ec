"""``kgen token``."""

from __future__ import annotations

from pathlib import Path

import click

from kgen.cli import arguments, console


@click.group()
def token() -> None:
    """Use the cluster's bootstrap token."""


@token.command("join-command", short_help="Print the `kubeadm join` line of a node.")
@arguments.CLUSTER_FILE
def join_command(cluster_file: Path) -> None:
    """Print the `kubeadm join` line of a node that does not boot from kgen's user-data.

    The line holds the bootstrap token. The token exists from the first boot of the masters on, for its ttl.
    """
    from kgen import api

    console.out(api.join_command(cluster_file))
