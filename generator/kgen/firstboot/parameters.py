"""The values of the runner's steps, beside the files and objects (docs/reference/payload.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kgen.content import bridge, environment, flags, kubelet, manifests, node_labels
from kgen.facts import names, preflight_rows, versions
from kgen.firstboot import preflight
from kgen.model import Cluster, ExternalEtcd, Machine, Taint


def parameters(
    cluster: Cluster, machine: Machine, validity: Mapping[str, tuple[int, int]], *, may_start_empty: bool = True
) -> dict[str, Any]:
    """Return what the steps of ``machine`` need to know.

    ``validity`` maps each certificate in the machine's blobs to the seconds since 1970 it holds from and until.
    """
    common = {
        "kubernetesVersion": str(cluster.kubernetes_version),
        "waitFactor": cluster.timeouts.wait_factor,
        "addresses": [str(address) for address in machine.addresses],
        "validity": {name: list(ends) for name, ends in validity.items()},
        "ignorePreflightErrors": [name.lower() for name in machine.registration.ignore_preflight_errors],
        "resolvConf": kubelet.leaves_resolv_conf_open(cluster, machine),
        "systemctl": _systemctl(cluster, machine),
    }
    common |= preflight.parameters(cluster, machine)
    return common | (
        _master(cluster, machine, may_start_empty) if machine.role == "master" else _node(cluster, machine)
    )


def _systemctl(cluster: Cluster, machine: Machine) -> list[str]:
    """Return the arguments of each call of systemctl: the restart of containerd, then the start of the kubelet.

    A running containerd does not have the proxies yet, or the user's files and CAs. ``enable containerd`` makes systemd
    read all units again, which takes as long as preflight. So does ``daemon-reload``, which drop-ins of the kubelet
    need. The units that start are new to systemd, which reads them then: ``--no-reload``. After a failure the runner
    names the journal of the last word.
    """
    paths = [str(file.path) for file in machine.files]
    calls = []
    if (
        environment.proxies(cluster)
        or "ca_certs" in machine.cloud_init
        or any(path.startswith(_READ_BY_CONTAINERD) for path in paths)
    ):
        calls = ["enable containerd", "restart containerd"]
    elif cluster.metadata_fence or any(path.startswith("/etc/systemd/system/") for path in paths):
        calls = ["daemon-reload"]
    units = [*bridge.units(cluster), *node_labels.units(cluster, machine), "kubelet"]
    return [*calls, f"enable --now --no-reload {' '.join(units)}"]


_READ_BY_CONTAINERD = ("/etc/containerd/", "/etc/systemd/system/containerd.service.d/")
"""Beginnings of the paths of files that containerd reads when it starts."""


def _local_etcd(cluster: Cluster, machine: Machine, may_start_empty: bool) -> dict[str, Any]:
    others = {other.name: flags.etcd_peer_url(other) for other in cluster.masters if other.name != machine.name}
    return {
        "dataDir": str(cluster.etcd.data_dir),
        "peerURL": flags.etcd_peer_url(machine),
        "healthURL": manifests.etcd_health_url(cluster, machine),
        "others": others,
        "mayStartEmpty": may_start_empty,
    }


def _external_etcd(cluster: Cluster, etcd: ExternalEtcd) -> dict[str, Any]:
    """Return the members that preflight asks for their version. This machine has none: no data, no peers."""
    oldest = preflight_rows.row_of(cluster.kubernetes_version).oldest_etcd
    return {
        "endpoints": list(etcd.http_endpoints or etcd.endpoints),
        "oldest": list(oldest),
        "dataDir": "",
        "healthURL": "",
        "others": {},
        "mayStartEmpty": True,
    }


def _master(cluster: Cluster, machine: Machine, may_start_empty: bool) -> dict[str, Any]:
    external = cluster.external_etcd
    etcd = _external_etcd(cluster, external) if external else _local_etcd(cluster, machine, may_start_empty)
    return {
        "server": machine.local_api_endpoint,
        "etcd": etcd,
        "health": manifests.controller_health_urls(cluster),
        # The user's objects, and the last one, which says that publishing is done.
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
    asked = {"imds": imds(cluster)} if machine.join_from == "ssm" else {}
    return {"server": cluster.server, **asked, "node": {"metadata": _annotations(cluster, machine)}}


def imds(cluster: Cluster) -> str:
    """Return the URL of EC2's metadata service that machines ask: by IPv6 if the cluster has no IPv4.

    Source: EC2 user guide, "Access instance metadata for an EC2 instance".
    """
    has_ipv4 = any(network.version == 4 for network in cluster.networking.service_subnets)
    return f"http://{'169.254.169.254' if has_ipv4 else '[fd00:ec2::254]'}/latest/"


def _annotations(cluster: Cluster, machine: Machine) -> dict[str, dict[str, str]]:
    """Return what kubeadm keeps on the Node beside the kubelet's flag: the CRI socket, for its later commands."""
    if versions.has_instance_config(cluster.kubernetes_version):
        return {}
    return {"annotations": {names.ANNOTATION_CRI_SOCKET: machine.registration.cri_socket}}


def _taint(taint: Taint) -> dict[str, str]:
    value = {"value": taint.value} if taint.value else {}
    return {"key": taint.key, "effect": taint.effect, **value}
