"""``kgen routes``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console
from kgen.errors import InputError

if TYPE_CHECKING:
    from kgen.api import MachineRoutes


@click.command(short_help="Print route updates for running machines.")
@arguments.CLUSTER_FILE
@click.argument("machine", required=False)
@arguments.JSON
def routes(cluster_file: Path, machine: str | None, as_json: bool) -> None:
    """Print the commands that update the routes of running machines to each other's pods (networking.plugin: bridge).

    New machines get their routes from their user-data. Run this after `kgen render`, when machines were added, removed
    or given another address. For one MACHINE the output is a shell script: kgen routes prod.yaml m1 | ssh root@m1 sh
    """
    from kgen import api

    found = api.routes(cluster_file)
    if machine is not None:
        names = [entry.name for entry in found]
        found = tuple(entry for entry in found if entry.name == machine)
        if not found:
            raise InputError(f"there is no machine {machine!r}", f"the cluster file has {', '.join(names[:20])}")
    if as_json:
        console.out_json({"machines": [_as_json(entry) for entry in found]})
    elif machine is not None:
        console.out(found[0].commands.rstrip("\n"))
    else:
        for entry in found:
            console.out(click.style(f"--- {entry.name} ({entry.address}), as root:", bold=True))
            console.out(entry.commands)


def _as_json(entry: MachineRoutes) -> dict[str, Any]:
    return {
        "name": entry.name,
        "address": entry.address,
        "podCIDR": entry.pod_cidr,
        "routes": [{"to": network, "via": address} for network, address in entry.routes],
        "gone": list(entry.gone),
        "commands": entry.commands,
    }
