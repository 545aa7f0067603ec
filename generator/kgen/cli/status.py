"""``kgen status``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console
from kgen.errors import ExitCode

if TYPE_CHECKING:
    from kgen.running.components import ComponentView
    from kgen.running.serving import Serving
    from kgen.running.status import MachineStatus, Status

Rows = list[tuple[str, ...]]


@click.command(short_help="Show the running cluster and where it differs from the file.")
@arguments.CLUSTER_FILE
@click.option("--check", is_flag=True, help="Exit 3 if anything is missing, in surplus or not healthy.")
@arguments.FAIL_ON
@arguments.SERVER
@arguments.JSON
def status(cluster_file: Path, check: bool, fail_on: timedelta | None, server: str, as_json: bool) -> int:
    """Show the running cluster and where it differs from CLUSTER_FILE.

    Shows machines and their versions, the health of the control plane, when certificates and the bootstrap token
    expire, and everything that is missing, in surplus or not healthy. Like `kgen wait` it needs the secrets bundle and
    a connection to an API server.
    """
    from kgen import api

    found = api.status(cluster_file, server=server)
    now = datetime.now(UTC)
    if as_json:
        console.out(json.dumps(asdict(found, dict_factory=_named), indent=2, default=_timestamp))
    else:
        console.out("\n\n".join(_sections(found, now)))
    if check and found.findings:
        return ExitCode.DIFFERENCE
    return arguments.expiry_code(found.earliest_expiry, fail_on)


def _named(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object with keys in camel case, as in the JSON of the other verbs: ``shownUntil``."""
    return {re.sub(r"_(.)", lambda letter: letter[1].upper(), name): value for name, value in fields}


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _sections(found: Status, now: datetime) -> Iterator[str]:
    obstacle = f"\n({found.obstacle})" if found.obstacle else ""
    yield f"{found.cluster}: Kubernetes {found.version} at {found.server}{obstacle}"
    headings = ("machine", "role", "state", "kubelet", "container runtime", "address", "age")
    yield console.table(headings, [_machine(machine, now) for machine in found.machines])
    yield _control_plane(found)
    yield _expiries(found, now)
    if found.findings:
        count = len(found.findings)
        yield "\n  ".join([f"{count} finding{'s' if count > 1 else ''}:", *found.findings])
    else:
        yield "healthy, and as the cluster file says"


def _machine(machine: MachineStatus, now: datetime) -> tuple[str, ...]:
    role = machine.role or "not in the file"
    node = machine.node
    if node is None:
        return machine.name, role, "not registered", "", "", "", ""
    state = ("Ready" if node.ready else "NotReady") + (", cordoned" if node.cordoned else "")
    age = _short(now - node.created) if node.created else ""
    return machine.name, role, state, node.kubelet, node.runtime, ", ".join(node.addresses), age


def _control_plane(found: Status) -> str:
    """Return a table with one row for each master and one column for each component."""
    columns = list(dict.fromkeys(view.name for view in found.components))
    masters = list(dict.fromkeys(view.master for view in found.components))
    cells = {(view.master, view.name): _component(view) for view in found.components}
    rows = [(master, *(cells.get((master, column), "") for column in columns)) for master in masters]
    return console.table(("control plane", *columns), rows)


def _component(view: ComponentView) -> str:
    restarts = f", {view.restarts} restarts" if view.restarts else ""
    return (f"{view.version} ready" if view.ready else view.message) + restarts


def _expiries(found: Status, now: datetime) -> str:
    rows: Rows = [
        ("cluster CA", _date(found.authority_until), _days(found.authority_until, now), ""),
        (f"{found.leaf} (the earliest in the bundle)", _date(found.leaf_until), _days(found.leaf_until, now), ""),
    ]
    rows += [_serving(view, now) for view in found.serving]
    if found.token is not None:
        rows.append(_token(found, now))
    return console.table(("what", "expires", "days left", ""), rows, right=(2,))


def _serving(view: Serving, now: datetime) -> tuple[str, ...]:
    label = f"API server of {view.master}"
    if view.shown_until is None:
        state = "not seen" if view.state == "not seen" else "refused"
        end = _date(view.issued_until), _days(view.issued_until, now)
        return label, *end, f"as issued; {state}: {view.reason}"
    others = f"seen, {view.state} than the bundle's, which expires {_date(view.issued_until)}"
    seen = "seen, as issued" if view.state == "as issued" else others
    return label, _date(view.shown_until), _days(view.shown_until, now), seen


def _token(found: Status, now: datetime) -> tuple[str, ...]:
    token, signed = found.token, f"cluster-info {found.cluster_info}"
    if token is None or not token.is_valid(now):
        return "bootstrap token", "expired", "", f"{signed}; `kgen token renew CLUSTER_FILE` publishes it again"
    if token.expires is None:
        return "bootstrap token", "never", "", signed
    return "bootstrap token", _date(token.expires), _days(token.expires, now), signed


def _date(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _days(moment: datetime, now: datetime) -> str:
    return str((moment - now).days)


def _short(age: timedelta) -> str:
    """Return an age as kubectl prints it, in its largest unit: ``5d``, ``3h``, ``12m``, ``40s``."""
    seconds = max(0, int(age.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
