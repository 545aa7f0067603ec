"""``kgen completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from kgen.cli import console


@click.command(short_help="Print a completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a completion script; in ~/.bashrc: eval "$(kgen completion bash)"."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    console.out(found(ctx.find_root().command, {}, "kgen", "_KGEN_COMPLETE").source())
