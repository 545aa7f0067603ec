"""``kgen report``."""

from __future__ import annotations

from pathlib import Path

import click

from kgen.cli import arguments, console


@click.command(short_help="Write an HTML page about the cluster.")
@arguments.CLUSTER_FILE
@arguments.output("Write to DIR/<cluster>/report.html.")
@arguments.JSON
def report(cluster_file: Path, output: Path, as_json: bool) -> None:
    """Write one HTML page about the cluster of CLUSTER_FILE, for people.

    It has the machines and networks as a picture, certificates on a time line, sizes beside limits, what is on each
    machine and why, and the warnings. It needs no script and no network, and holds no secret.
    """
    from kgen import api

    result = api.report(cluster_file, output)
    for problem in result.warnings:
        console.warning(problem)
    if as_json:
        told = {"path": str(result.path), "bytes": result.size_bytes, "changed": bool(result.changes)}
        console.out_json(told, result.warnings)
    else:
        console.out(f"{result.path}: {result.size_bytes:,} bytes; open it in a browser")
