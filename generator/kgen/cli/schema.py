"""``kgen schema``."""

from __future__ import annotations

import click

from kgen.cli import console


@click.command(short_help="Print the JSON Schema of the cluster file.")
def schema() -> None:
    """Print the JSON Schema of the cluster file, for editors."""
    from kgen.config.schema import schema_text

    console.out(schema_text().rstrip("\n"))
