"""docs/reference/differences.md as data: every way in which kgen's trees may differ from kubeadm's, and where."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "differences.md"
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Row:
    """One field of one file or object; ``conditions`` name configurations, any of which is enough."""

    where: str
    what: str
    conditions: tuple[str, ...]
    reason: str

    def holds(self, cluster: Mapping[str, Any], machine: Mapping[str, Any]) -> bool:
        """Return whether the difference is expected on this machine of a parsed cluster file."""
        return any(CONDITIONS[condition](cluster, machine) for condition in self.conditions)


def _masters(cluster: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [machine for machine in cluster["machines"] if machine["role"] == "master"]


def _keeps_super_admin(cluster: Mapping[str, Any]) -> bool:
    return bool(cluster.get("pki", {}).get("keepSuperAdmin", True))


def _expires(cluster: Mapping[str, Any], number: int) -> bool:
    tokens = cluster.get("bootstrapTokens", [{}])
    return len(tokens) > number and tokens[number].get("ttl", "24h") != "0s"


def _external_etcd(cluster: Mapping[str, Any]) -> Mapping[str, Any]:
    external: Mapping[str, Any] = cluster.get("etcd", {}).get("external", {})
    return external


CONDITIONS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], bool]] = {
    "every master": lambda cluster, machine: True,
    "several masters": lambda cluster, machine: len(_masters(cluster)) > 1 and not _external_etcd(cluster),
    "etcd on the masters": lambda cluster, machine: not _external_etcd(cluster),
    "an external etcd with TLS": lambda cluster, machine: "caFile" in _external_etcd(cluster),
    "a master that keeps super-admin.conf": lambda cluster, machine: (
        _keeps_super_admin(cluster) and machine == _masters(cluster)[0]
    ),
    "a master after the first": lambda cluster, machine: machine != _masters(cluster)[0],
    "pki.keepSuperAdmin: false": lambda cluster, machine: not _keeps_super_admin(cluster),
    "pki.shipCAKeys: cluster": lambda cluster, machine: cluster.get("pki", {}).get("shipCAKeys") == "cluster",
    "the first token expires": lambda cluster, machine: _expires(cluster, 0),
    "the second token expires": lambda cluster, machine: _expires(cluster, 1),
    "CoreDNS": lambda cluster, machine: not cluster.get("dns", {}).get("disabled"),
    "kube-proxy": lambda cluster, machine: (
        not cluster.get("proxy", {}).get("disabled") and "addon/kube-proxy" not in cluster.get("skipPhases", [])
    ),
    "httpProxy": lambda cluster, machine: "httpProxy" in cluster,
    "plugin: bridge": lambda cluster, machine: cluster.get("networking", {}).get("plugin") == "bridge",
    "two addresses": lambda cluster, machine: isinstance(machine["address"], list),
    "labels": lambda cluster, machine: bool(machine.get("labels")),
}
"""What the column "where it occurs" may say; docs/reference/differences.md explains each."""


def rows() -> list[Row]:
    """Return the rows of every table whose first heading is ``File or object``."""
    found = []
    inside = False
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells and cells[0] == "File or object":
            inside = True
        elif not cells:
            inside = False
        elif inside and not set(cells[0]) <= {"-", " "}:
            where, what, conditions, reason = cells
            found.append(Row(_code(where), _code(what), tuple(_CODE.findall(conditions)), reason))
    return found


def _code(cell: str) -> str:
    (text,) = _CODE.findall(cell)
    return str(text)
