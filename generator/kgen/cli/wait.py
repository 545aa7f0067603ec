"""``kgen wait``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from kgen.cli import arguments, console

if TYPE_CHECKING:
    from rich.table import Table

    from kgen.running.wait import Progress, Snapshot

Watcher = Callable[["Snapshot"], None]
MOST_ROWS = 30
_COLOURS = {"Ready": "green", "NotReady": "yellow"}


@click.command(short_help="Wait until the machines are Ready.")
@arguments.CLUSTER_FILE
@click.option(
    "--for",
    "goal",
    type=click.Choice(["ready", "registered"]),
    default="ready",
    show_default=True,
    help="What to wait for; without a network plug-in machines become registered, not ready.",
)
@click.option(
    "--timeout",
    type=arguments.Duration(),
    default="15m",
    metavar="DURATION",
    show_default=True,
    help="Give up after this long; 0 checks once.",
)
@click.option(
    "--nodes-only",
    "only",
    multiple=True,
    metavar="NAME",
    help="Wait for this machine only, which may be one of a pool; may be given several times.",
)
@arguments.SERVER
@arguments.JSON
def wait(
    cluster_file: Path,
    goal: Literal["ready", "registered"],
    timeout: timedelta,
    only: tuple[str, ...],
    server: str,
    as_json: bool,
) -> None:
    """Wait until every machine listed in CLUSTER_FILE is Ready, and show the state of each.

    Needs the cluster file, its secrets bundle and a connection to an API server: at the cluster's endpoint, or at any
    master's own address if the endpoint does not answer yet. Machines of pools are shown, but not waited for.
    """
    from kgen import api

    with _watcher() as on_snapshot:
        reached = api.wait(cluster_file, goal=goal, timeout=timeout, only=only, server=server, on_snapshot=on_snapshot)
    if as_json:
        console.out_json(_as_json(reached))
        return
    rows = [(machine.name, machine.role or "-", *_facts(machine)) for machine in reached.machines]
    console.out(console.table(("machine", "role", "state", "kubelet", "address"), rows))
    if reached.obstacle:
        console.note(f"{reached.server} answered; {reached.obstacle}")


def _as_json(reached: Snapshot) -> dict[str, Any]:
    return {
        "server": reached.server,
        "obstacle": reached.obstacle or None,
        "machines": [
            {
                "machine": machine.name,
                "role": machine.role or None,
                "state": machine.phase,
                "kubelet": machine.node.kubelet if machine.node else None,
                "addresses": list(machine.node.addresses) if machine.node else [],
            }
            for machine in reached.machines
        ],
    }


def _facts(machine: Progress) -> tuple[str, str, str]:
    if machine.node is None:
        return machine.phase, "", ""
    return machine.phase, machine.node.kubelet, ", ".join(machine.node.addresses)


@contextmanager
def _watcher() -> Iterator[Watcher]:
    """Yield a function that shows every snapshot: a live table on a terminal, else a line for each change."""
    if not sys.stderr.isatty():
        yield _Lines().show
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
        yield lambda snapshot: live.update(_live_table(snapshot), refresh=True)


class _Lines:
    """A printer of a line for each machine whose state differs from the snapshot before."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}

    def show(self, snapshot: Snapshot) -> None:
        states = {"API": _api(snapshot)} | {machine.name: _state(machine) for machine in snapshot.machines}
        for name, state in states.items():
            if self._shown.get(name) != state:
                console.note(f"{_clock(snapshot.seconds)}  {name}: {state}")
        self._shown = states


def _live_table(snapshot: Snapshot) -> Table:
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, title_justify="left")
    made.title = Text(f"{_clock(snapshot.seconds)}  API: {_api(snapshot)}")
    for heading in ("machine", "role", "state", "why"):
        made.add_column(heading, no_wrap=heading != "why", overflow="ellipsis")
    shown = sorted(snapshot.machines, key=lambda machine: machine.phase == "Ready")[:MOST_ROWS]
    for machine in (machine for machine in snapshot.machines if machine in shown):
        phase = Text(machine.phase, style=_COLOURS.get(machine.phase, "dim"))
        made.add_row(machine.name, machine.role or "-", phase, Text(machine.message))
    if len(snapshot.machines) > MOST_ROWS:
        made.add_row(f"… {len(snapshot.machines) - MOST_ROWS:,} more", "", "", "")
    return made


def _api(snapshot: Snapshot) -> str:
    if snapshot.server:
        return f"{snapshot.server} answers{f' ({snapshot.obstacle})' if snapshot.obstacle else ''}"
    return snapshot.obstacle or "no answer"


def _state(machine: Progress) -> str:
    return f"{machine.phase}: {machine.message}" if machine.message else machine.phase


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
