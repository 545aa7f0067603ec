"""``kgen encryption``."""

from __future__ import annotations

from pathlib import Path

import click

from kgen.cli import arguments, console
from kgen.errors import command

_SAYS = {
    "added": "{key} is known, and encrypts nothing yet",
    "encrypts": "{key} encrypts what is written from now on",
    "removed": "{key}: removed",
}


@click.group()
def encryption() -> None:
    """Rotate the keys that encrypt Secrets in etcd."""


@encryption.command(short_help="Take the next step of a rotation.")
@arguments.CLUSTER_FILE
@click.option("--rewritten", is_flag=True, help="Everything in etcd was written again with the newest key.")
@arguments.JSON
def rotate(cluster_file: Path, rewritten: bool, as_json: bool) -> None:
    """Take the next step: a new key becomes known, then it encrypts, then the old ones are removed.

    After each step render, and apply it to every master before the next step.
    """
    from kgen import api

    stage = api.rotate_encryption(cluster_file, rewritten=rewritten)
    if as_json:
        console.out_json({"step": stage.name, "key": stage.key})
        return
    console.out(_SAYS[stage.name].format(key=stage.key))
    console.out(f"next: `{command('render', cluster_file)}`, then `kgen apply` to every master")
    if stage.name != "removed":
        console.out(f"  after that, `{command('encryption rotate', cluster_file)}` for the next step")
