"""Node objects as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_ROLE_PREFIX = "node-role.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class NodeView:
    """One Node. ``message`` is the kubelet's reason if it is not Ready. ``created`` is in UTC."""

    name: str
    ready: bool
    message: str
    roles: tuple[str, ...]
    addresses: tuple[str, ...]
    kubelet: str
    runtime: str
    created: datetime | None
    cordoned: bool = False


def nodes(items: Iterable[Mapping[str, Any]]) -> dict[str, NodeView]:
    """Return the Nodes by name, sorted."""
    views = (_node(item) for item in items)
    return {view.name: view for view in sorted(views, key=lambda view: view.name)}


def _node(item: Mapping[str, Any]) -> NodeView:
    metadata, status = item["metadata"], item.get("status") or {}
    info = status.get("nodeInfo") or {}
    found = {condition["type"]: condition for condition in status.get("conditions") or ()}
    ready = found.get("Ready", {})
    labels = metadata.get("labels") or {}
    addresses = status.get("addresses") or ()
    return NodeView(
        name=metadata["name"],
        ready=ready.get("status") == "True",
        message=_message(ready),
        roles=tuple(sorted(label.removeprefix(_ROLE_PREFIX) for label in labels if label.startswith(_ROLE_PREFIX))),
        addresses=tuple(entry["address"] for entry in addresses if entry["type"] == "InternalIP"),
        kubelet=info.get("kubeletVersion", ""),
        runtime=info.get("containerRuntimeVersion", ""),
        created=moment(metadata.get("creationTimestamp")),
        cordoned=bool((item.get("spec") or {}).get("unschedulable")),
    )


def _message(ready: Mapping[str, Any]) -> str:
    """Return the reason why a Node is not Ready: the kubelet's or, if that is silent, the node controller's."""
    if ready.get("status") == "True":
        return ""
    return str(ready.get("message") or ready.get("reason") or "its kubelet has not reported yet").strip()


def moment(text: str | None) -> datetime | None:
    """Return a timestamp of the API, None if it is missing or cannot be read."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found
