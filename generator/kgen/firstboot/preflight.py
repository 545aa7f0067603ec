"""The values for the runner's preflight (docs/reference/preflight.md). The rest is in the files and objects."""

from __future__ import annotations

from typing import Any

from kgen.conditions import has_local_etcd
from kgen.content import flags
from kgen.facts import names, preflight_rows
from kgen.facts.preflight_rows import PreflightRow
from kgen.model import Cluster, Component, Machine


def parameters(cluster: Cluster, machine: Machine) -> dict[str, Any]:
    """Return ``ports``, ``kernel``, ``runtimeConfig`` and ``pull`` of a machine's payload."""
    row = preflight_rows.row_of(cluster.kubernetes_version)
    kubelet = ["", names.KUBELET_PORT]
    common = {
        "ports": [kubelet],
        "kernel": [row.kernels, row.kernel_is_warning, *row.needs],
        "runtimeConfig": row.asks_runtime_config,
    }
    if machine.role == "node":
        return common
    may_pull = machine.registration.image_pull_policy != "Never"
    return {**common, "ports": [*_master_ports(cluster, machine, row), kubelet], "pull": may_pull}


def _master_ports(cluster: Cluster, machine: Machine, row: PreflightRow) -> list[list[Any]]:
    """Return ``[address, port]`` of every listener; the empty address is every address, as in kubeadm to v1.36.

    kubeadm v1.37 leaves out that etcd listens on the loopback address, too.
    """
    components = (
        (cluster.api_server, machine.bind_port),
        (cluster.scheduler, names.SCHEDULER_PORT),
        (cluster.controller_manager, names.CONTROLLER_MANAGER_PORT),
    )
    own, loopback = str(machine.address), flags.loopback(machine).strip("[]")
    etcd = ((loopback, names.ETCD_CLIENT_PORT), (own, names.ETCD_CLIENT_PORT), (own, names.ETCD_PEER_PORT))
    listeners = [
        *((_bind_address(component), port) for component, port in components),
        *(etcd if has_local_etcd(cluster) else ()),
    ]
    if row.binds_ports_everywhere:
        listeners = list(dict.fromkeys(("", port) for _, port in listeners))
    return [[address, port] for address, port in listeners]


def _bind_address(component: Component) -> str:
    return flags.last(component.extra_args, "bind-address", "")
