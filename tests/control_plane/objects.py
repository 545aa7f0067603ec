"""The objects on a real API server against those of ``api/``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.control_plane.deployment import SUPER_ADMIN, Deployment
from tests.control_plane.machines import Machine

KINDS = (
    "clusterroles,clusterrolebindings,roles,rolebindings,configmaps,secrets,serviceaccounts,services,"
    "deployments.apps,daemonsets.apps"
)
Key = tuple[str, str, str]


def key(found: dict[str, Any]) -> Key:
    """Return (kind, namespace, name)."""
    metadata = found["metadata"]
    return str(found["kind"]), str(metadata.get("namespace", "")), str(metadata["name"])


def live(cluster: Deployment, machine: Machine) -> dict[Key, dict[str, Any]]:
    """Return the live object of every file in ``api/``; a missing one fails."""
    conf = machine.root / SUPER_ADMIN
    text = machine.check(
        ["kubectl", "--kubeconfig", conf, "get", "-f", cluster.outputs / "api", "-o", "json", "--show-managed-fields"]
    )
    return {key(found): found for found in json.loads(text)["items"]}


def everything(machine: Machine) -> dict[Key, dict[str, Any]]:
    """Return every object of the kinds that are published, whoever made it, but for what controllers keep changing."""
    conf = machine.root / SUPER_ADMIN
    text = machine.check(["kubectl", "--kubeconfig", conf, "get", KINDS, "-A", "-o", "json"])
    return {key(found): found for found in json.loads(text)["items"]}


def written(objects: dict[Key, dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    """Return what was written in each object: uid, generation, metadata, spec, data, and by whom.

    Status is left out, and the resourceVersion that counts its changes: the scheduler and the controllers write it
    whenever they like, for a pending pod for instance.
    """
    return {name: _without_status(found) for name, found in objects.items()}


def _without_status(found: dict[str, Any]) -> dict[str, Any]:
    by = [entry for entry in found["metadata"].get("managedFields", []) if entry.get("subresource") != "status"]
    metadata = {name: value for name, value in found["metadata"].items() if name != "resourceVersion"}
    return {name: value for name, value in found.items() if name != "status"} | {
        "metadata": metadata | {"managedFields": by}
    }


def missing(wanted: Any, found: Any, at: str = "") -> list[str]:
    """Return the places where ``found`` lacks what ``wanted`` says; the server's defaults may stand beside it."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [
            line
            for name, value in wanted.items()
            if value not in (None, {}, [])
            for line in missing(value, found.get(name), f"{at}.{name}")
        ]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [line for index, (one, other) in pairs for line in missing(one, other, f"{at}[{index}]")]
    return [] if wanted == found else [at]


def kubeconfigs(root: Path) -> list[str]:
    """Return the names of the kubeconfigs of a machine."""
    return sorted(path.name for path in (root / "etc/kubernetes").glob("*.conf"))
