"""The wait until machines are registered or Ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from kgen.config.durations import go_duration
from kgen.errors import InputError, KgenError
from kgen.model import Cluster
from kgen.running.connection import Attempt, Connection, RefusedError, SilentError, attempt
from kgen.running.credential import Credential
from kgen.running.nodes import NodeView, nodes
from kgen.running.servers import Server

Goal = Literal["ready", "registered"]
Phase = Literal["unknown", "not registered", "NotReady", "Ready"]

PAUSE_SECONDS = 1.0
_SHARE = 5  # a pause is this many times as long as the last list took, so that slow lists are rare
_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of one machine. ``awaited`` is false for a machine that is only shown."""

    name: str
    role: str
    phase: Phase
    message: str = ""
    awaited: bool = True
    node: NodeView | None = None

    def has_reached(self, goal: Goal) -> bool:
        """Return whether there is nothing left to wait for."""
        return self.phase == "Ready" or (goal == "registered" and self.phase == "NotReady")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the cluster, ``seconds`` after waiting began.

    ``server`` is the URL that answers, empty when none does; ``obstacle`` says what is in the way of an answer, or
    why the endpoint, and masters before ``server``, were not used.
    """

    seconds: float
    server: str
    obstacle: str
    machines: tuple[Progress, ...]


def wait(
    cluster: Cluster,
    credential: Credential,
    servers: tuple[Server, ...],
    *,
    goal: Goal,
    timeout: timedelta,
    only: Collection[str] = (),
    on_snapshot: Callable[[Snapshot], None] = lambda snapshot: None,
) -> Snapshot:
    """Return the first snapshot in which every awaited machine has reached ``goal``.

    Awaited are the listed machines, or those named by ``only``, which may be a pool's.

    Raises:
        InputError: a name in ``only`` cannot be a machine's; the endpoint is another cluster's, or does not know us.
        KgenError: the time is up; says of every machine what it lacks.
    """
    awaited = _awaited(cluster, only)
    start = began = time.monotonic()
    deadline = start + timeout.total_seconds()
    found = Attempt(None, ())
    while True:
        found = found if found.connection else attempt(servers, credential)
        seen, obstacle = _look(found)
        machines = _progress(cluster, awaited, seen)
        answers = found.connection.server.url if found.connection and seen is not None else ""
        now = time.monotonic()
        snapshot = Snapshot(now - start, answers, obstacle, machines)
        on_snapshot(snapshot)
        if all(machine.has_reached(goal) for machine in machines if machine.awaited):
            return snapshot
        if found.connection and seen is None:
            found = Attempt(None, ())
        if now >= deadline:
            raise _too_late(snapshot, goal, timeout)
        pause = max(PAUSE_SECONDS, _SHARE * (now - began) if seen else 0)
        time.sleep(min(pause, deadline - now))
        began = time.monotonic()


def _awaited(cluster: Cluster, only: Collection[str]) -> dict[str, str]:
    """Return the role of every machine to wait for; empty for machines of pools, which the file does not name."""
    roles: dict[str, str] = {machine.name: machine.role for machine in cluster.machines}
    if not only:
        return roles
    unknown = [name for name in only if name not in roles]
    if unknown and not cluster.pools:
        raise InputError(f"{', '.join(unknown)}: not in the cluster file", f"it lists {', '.join(roles)}")
    return {name: roles.get(name, "") for name in only}


def _look(found: Attempt) -> tuple[Mapping[str, NodeView] | None, str]:
    """Return the Nodes, None if they cannot be read, and the reason."""
    if found.connection is None:
        return None, found.reasons
    try:
        return _nodes(found.connection), found.reasons
    except SilentError as error:
        return None, f"{found.connection.server.url}: {error.silence.reason}"
    except RefusedError as error:
        if error.status == _UNAUTHORIZED:
            hint = "use the secrets bundle that the machines were rendered with"
            raise InputError(f"{found.connection.server.url} does not know the bundle's administrator", hint) from None
        return None, error.message  # 403: the administrator's rights are not published yet


def _nodes(connection: Connection) -> Mapping[str, NodeView]:
    return nodes(connection.items("list_node"))


def _progress(
    cluster: Cluster, awaited: Mapping[str, str], seen: Mapping[str, NodeView] | None
) -> tuple[Progress, ...]:
    listed = {machine.name: machine.role for machine in cluster.machines}
    others = {name: listed.get(name, "") for name in seen or () if name not in awaited}
    return tuple(_machine(name, role, seen, awaited=name in awaited) for name, role in {**awaited, **others}.items())


def _machine(name: str, role: str, seen: Mapping[str, NodeView] | None, *, awaited: bool) -> Progress:
    if seen is None:
        return Progress(name, role, "unknown", awaited=awaited)
    node = seen.get(name)
    if node is None:
        return Progress(name, role, "not registered", awaited=awaited)
    return Progress(name, role, "Ready" if node.ready else "NotReady", node.message, awaited, node)


def _too_late(snapshot: Snapshot, goal: Goal, timeout: timedelta) -> KgenError:
    late = [machine for machine in snapshot.machines if machine.awaited and not machine.has_reached(goal)]
    wanted = "Ready" if goal == "ready" else "registered"
    after = f"after {go_duration(timeout)}"
    if not snapshot.server:
        return KgenError(
            f"no machine is {wanted} {after}: the API does not answer: {snapshot.obstacle}",
            "on a master, `systemctl status kgen-firstboot` says what it is waiting for",
        )
    lines = [f"{machine.name}: {machine.phase}{f': {machine.message}' * bool(machine.message)}" for machine in late]
    awaited = sum(machine.awaited for machine in snapshot.machines)
    head = f"{len(late)} of {awaited} machines {'is' if len(late) == 1 else 'are'} not {wanted} {after}:"
    hint = "on a machine that is not registered, its console and `systemctl status kgen-firstboot` say why"
    return KgenError("\n  ".join([head, *lines]), hint if any(not machine.node for machine in late) else "")
