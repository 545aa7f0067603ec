"""``kgen etcd``."""

from __future__ import annotations

from pathlib import Path

import click

from kgen.cli import arguments, console


@click.group()
def etcd() -> None:
    """Back up the data of the running cluster."""


@etcd.command(short_help="Save a snapshot of etcd's data.")
@arguments.CLUSTER_FILE
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--server",
    metavar="HOST:PORT",
    default="",
    help="Use this etcd member, for example the local end of an SSH tunnel.",
)
@arguments.JSON
def snapshot(cluster_file: Path, file: Path, server: str, as_json: bool) -> None:
    """Save a snapshot of etcd's data to FILE, and check it.

    kgen asks the first member of etcd that answers, with a certificate from the secrets bundle.
    FILE contains every Secret of the cluster: keep it as safe as the secrets bundle.
    """
    from kgen import api

    taken = api.etcd_snapshot(cluster_file, file, server=server)
    if as_json:
        told = {"path": str(taken.path), "bytes": taken.size_bytes, "server": taken.url, "revision": taken.revision}
        console.out_json(told)
        return
    console.out(
        f"{taken.path}: {taken.size_bytes:,} bytes from {taken.url}, revision {taken.revision}, checksum verified"
    )
