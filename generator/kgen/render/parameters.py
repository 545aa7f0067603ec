"""The values of the runner's steps, beside the files and objects (docs/reference/payload.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kgen import names
from kgen.config.model import Cluster, Machine, Taint
from kgen.render import files, flags, manifests


def parameters(cluster: Cluster, machine: Machine, validity: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """Return what the steps of ``machine`` need to know.

    ``validity`` maps each certificate in the machine's blobs to the seconds since 1970 it holds from and until.
    """
    common = {
        "kubernetesVersion": str(cluster.kubernetes_version),
        "waitFactor": 1,
        "addresses": [str(address) for address in machine.addresses],
        "validity": {name: list(ends) for name, ends in validity.items()},
        "modules": list(files.MODULES),
        "sysctls": files.sysctls(cluster),
        "ignorePreflightErrors": [name.lower() for name in machine.registration.ignore_preflight_errors],
        "resolvConf": "resolvConf" not in cluster.kubelet,
    }
    return common | (_master(cluster, machine) if machine.role == "master" else _node(cluster))


def _master(cluster: Cluster, machine: Machine) -> dict[str, Any]:
    others = {other.name: flags.etcd_peer_url(other) for other in cluster.masters if other.name != machine.name}
    return {
        "server": machine.local_api_endpoint,
        "ports": [
            machine.bind_port,
            names.SCHEDULER_PORT,
            names.CONTROLLER_MANAGER_PORT,
            names.ETCD_CLIENT_PORT,
            names.ETCD_PEER_PORT,
            names.KUBELET_PORT,
        ],
        "etcd": {
            "dataDir": str(cluster.etcd.data_dir),
            "peerURL": flags.etcd_peer_url(machine),
            "healthURL": manifests.etcd_health_url(cluster, machine),
            "others": others,
        },
        "health": manifests.controller_health_urls(cluster),
        "node": {
            "labels": {names.LABEL_CONTROL_PLANE: "", names.LABEL_EXCLUDE_LOAD_BALANCERS: ""},
            "taints": [_taint(taint) for taint in machine.taints],
        },
    }


def _node(cluster: Cluster) -> dict[str, Any]:
    return {"server": cluster.server, "ports": [names.KUBELET_PORT], "node": {"labels": {}, "taints": []}}


def _taint(taint: Taint) -> dict[str, str]:
    value = {"value": taint.value} if taint.value else {}
    return {"key": taint.key, "effect": taint.effect, **value}
