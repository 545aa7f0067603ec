"""``kgen apply``."""

from __future__ import annotations

from pathlib import Path

import click

from kgen.cli import arguments, console


@click.command(short_help="Print the script that brings a running machine to the rendered files.")
@arguments.CLUSTER_FILE
@click.argument("machine")
@arguments.output("Where the cluster was rendered.")
@arguments.JSON
def apply(cluster_file: Path, machine: str, output: Path, as_json: bool) -> None:
    """Print the script, for root, that brings the running MACHINE from the files it has to the rendered ones.

    Pipe it to the machine: kgen apply prod.yaml m1 | ssh root@m1 sh

    The script replaces certificates, kubeconfigs, static pods and the kubelet's configuration, restarts only what reads
    them, and puts everything back if a component does not come back. Apply to one master at a time: the script refuses
    to begin while another master is away.
    """
    from kgen import api

    script = api.apply_script(cluster_file, machine, output)
    if as_json:
        console.out_json({"machine": machine, "commands": script})
    else:
        console.out(script.rstrip("\n"))
