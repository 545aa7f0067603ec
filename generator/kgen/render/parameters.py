"""The values of the runner's steps, beside the files and objects (docs/reference/payload.md)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from kgen import names, versions
from kgen.config.model import Cluster, Machine, Taint
from kgen.render import bridge, environment, flags, kubelet, manifests, node_labels, preflight


def parameters(cluster: Cluster, machine: Machine, validity: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """Return what the steps of ``machine`` need to know.

    ``validity`` maps each certificate in the machine's blobs to the seconds since 1970 it holds from and until.
    """
    common = {
        "kubernetesVersion": str(cluster.kubernetes_version),
        "waitFactor": max(1, cluster.component_timeout / timedelta(minutes=4)),
        "addresses": [str(address) for address in machine.addresses],
        "validity": {name: list(ends) for name, ends in validity.items()},
        "ignorePreflightErrors": [name.lower() for name in machine.registration.ignore_preflight_errors],
        "resolvConf": kubelet.leaves_resolv_conf_open(cluster),
        "systemctl": _systemctl(cluster, machine),
    }
    common |= preflight.parameters(cluster, machine)
    return common | (_master(cluster, machine) if machine.role == "master" else _node(cluster, machine))


def _systemctl(cluster: Cluster, machine: Machine) -> list[str]:
    """Return what is said to systemctl, a process each: what starts with the kubelet, and what restarts before it.

    A running containerd has no proxies yet: systemd reads all of its units again, which takes as long as preflight.
    What starts is new to systemd, and is read then. The last word names whose journal tells why it failed.
    """
    restart = ["enable containerd", "restart containerd"] if environment.proxies(cluster) else []
    units = [*bridge.units(cluster), *node_labels.units(cluster, machine), "kubelet"]
    return [*restart, f"enable --now --no-reload {' '.join(units)}"]


def _master(cluster: Cluster, machine: Machine) -> dict[str, Any]:
    others = {other.name: flags.etcd_peer_url(other) for other in cluster.masters if other.name != machine.name}
    return {
        "server": machine.local_api_endpoint,
        "etcd": {
            "dataDir": str(cluster.etcd.data_dir),
            "peerURL": flags.etcd_peer_url(machine),
            "healthURL": manifests.etcd_health_url(cluster, machine),
            "others": others,
        },
        "health": manifests.controller_health_urls(cluster),
        # The user's objects, and the one that says that all are there.
        "late": len(cluster.manifests) + 1 if cluster.manifests else 0,
        "node": {
            "metadata": {
                "labels": {
                    names.LABEL_CONTROL_PLANE: "",
                    names.LABEL_EXCLUDE_LOAD_BALANCERS: "",
                    **node_labels.reserved(machine),
                },
                **_annotations(cluster, machine),
            },
            "spec": {"taints": [_taint(taint) for taint in machine.taints]},
        },
    }


def _node(cluster: Cluster, machine: Machine) -> dict[str, Any]:
    return {"server": cluster.server, "node": {"metadata": _annotations(cluster, machine)}}


def _annotations(cluster: Cluster, machine: Machine) -> dict[str, dict[str, str]]:
    """Return what kubeadm keeps on the Node beside the kubelet's flag: the CRI socket, for its later commands."""
    if versions.has_instance_config(cluster.kubernetes_version):
        return {}
    return {"annotations": {names.ANNOTATION_CRI_SOCKET: machine.registration.cri_socket}}


def _taint(taint: Taint) -> dict[str, str]:
    value = {"value": taint.value} if taint.value else {}
    return {"key": taint.key, "effect": taint.effect, **value}
