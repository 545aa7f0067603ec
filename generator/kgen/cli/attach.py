"""``kgen attach``."""

from __future__ import annotations

from pathlib import Path

import click

from kgen.cli import arguments, console
from kgen.facts.providers_roads import ROADS


@click.command(short_help="Print the command that starts a machine with its user-data.")
@arguments.CLUSTER_FILE
@click.argument("machine")
@click.option(
    "--with",
    "tool",
    type=click.Choice(tuple(dict.fromkeys(road.tool for road in ROADS))),
    default=None,
    help="The tool that starts the machine. Default: the first one for the provider of CLUSTER_FILE.",
)
@arguments.output("Where the cluster was rendered.")
@arguments.JSON
def attach(cluster_file: Path, machine: str, tool: str | None, output: Path, as_json: bool) -> None:
    """Print the command or snippet that starts MACHINE, or a machine of the pool MACHINE, with its user-data.

    It names the rendered file, and the field and the encoding that the provider wants. Words in capitals are yours to
    replace. Nothing is run. A document that the provider does not take is refused. A tool that attaches seeds takes a
    name that `kgen seed --name` has given, too.
    """
    from kgen import api

    found = api.attach(cluster_file, machine, output, tool=tool or "")
    if as_json:
        facts = {"machine": machine, "provider": found.road.provider, "tool": found.road.tool, "path": str(found.path)}
        console.out_json({**facts, "bytes": found.counted_bytes, "limit": found.limit_bytes, "text": found.text})
    else:
        console.out(found.text.rstrip("\n"))
