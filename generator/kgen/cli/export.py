"""``kgen export``."""

from __future__ import annotations

from pathlib import Path

import click

from kgen.cli import arguments, console


@click.group()
def export() -> None:
    """Print the cluster in the form of another tool."""


@export.command(short_help="Print kubeadm's configuration for a machine.")
@arguments.CLUSTER_FILE
@click.argument("machine", default="", metavar="[MACHINE]")
def kubeadm(cluster_file: Path, machine: str) -> None:
    """Print kubeadm's configuration for MACHINE, which may be a pool (default: the first master).

    It is what `kubeadm init`, `join` and `upgrade` take on that machine: v1beta4, with the bootstrap token and the hash
    of the CA. `kgen import` reads it back.
    """
    from kgen import api

    console.out(api.export_kubeadm(cluster_file, machine).removesuffix("\n"))
