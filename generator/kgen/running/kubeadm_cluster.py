"""The configuration of a cluster that kubeadm made, read from its API in the form of kubeadm's documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from kgen.content.component_config import is_generated
from kgen.errors import InputError
from kgen.facts import names
from kgen.kubeadm import documents
from kgen.running.connection import Connection, RefusedError

_NAMESPACE = "kube-system"
_ENDPOINT_ANNOTATION = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"
_CRIO_SOCKET = "unix:///var/run/crio/crio.sock"
_OF_THE_KUBELET = frozenset(
    (
        *("kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os"),
        *("beta.kubernetes.io/arch", "beta.kubernetes.io/os"),
    )
)
"""Labels that every kubelet sets on its own Node."""
_OF_MASTERS = frozenset((names.LABEL_CONTROL_PLANE, names.LABEL_EXCLUDE_LOAD_BALANCERS))
_PASSING = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
"""Taints of these domains tell a state of the machine, and come and go by themselves."""


def read(connection: Connection) -> list[tuple[str, str]]:
    """Return kubeadm's documents of the running cluster, each with the name of its source.

    The first master's is an InitConfiguration, every other machine's a JoinConfiguration. Configurations of kubelet and
    kube-proxy are left out where kubeadm generated them.

    Raises:
        InputError: kubeadm has not made the cluster.
        SilentError, RefusedError: the API gives no answer, or refuses.
    """
    cluster = _config_map(connection, "kubeadm-config")
    if cluster is None or documents.CLUSTER not in cluster.get("data", {}):
        message = (
            f"{connection.server.url} has no ConfigMap {_NAMESPACE}/kubeadm-config: kubeadm has not made this cluster"
        )
        raise InputError(message, "--kubeconfig and --context choose another cluster")
    found = [(f"ConfigMap {_NAMESPACE}/kubeadm-config", cluster["data"][documents.CLUSTER])]
    for name, key in (("kubelet-config", "kubelet"), ("kube-proxy", "config.conf")):
        component = _config_map(connection, name)
        if component is not None and key in component.get("data", {}) and not is_generated(component):
            found.append((f"ConfigMap {_NAMESPACE}/{name}", component["data"][key]))
    endpoints = dict(_endpoints(connection))
    nodes = connection.items("list_node")
    is_first = True
    for node in sorted(nodes, key=lambda node: (not _is_master(node), node["metadata"]["creationTimestamp"])):
        name = node["metadata"]["name"]
        is_init = is_first and _is_master(node)
        found.append((f"Node {name}", json.dumps(_document(node, endpoints.get(name), is_init=is_init))))
        is_first = False
    return found


def _config_map(connection: Connection, name: str) -> dict[str, Any] | None:
    try:
        return connection.call("read_namespaced_config_map", name, _NAMESPACE)
    except RefusedError as refused:
        if refused.status == 404:
            return None
        raise


def _is_master(node: Mapping[str, Any]) -> bool:
    return names.LABEL_CONTROL_PLANE in (node["metadata"].get("labels") or {})


def _endpoints(connection: Connection) -> Iterator[tuple[str, tuple[str, int]]]:
    """Yield each master's name, and the address and port of its API server, as kubeadm notes them on its static pod."""
    pods = connection.items("list_namespaced_pod", _NAMESPACE, label_selector="component=kube-apiserver")
    for pod in pods:
        noted = (pod["metadata"].get("annotations") or {}).get(_ENDPOINT_ANNOTATION)
        if noted:
            parts = urlsplit(f"//{noted}")
            yield pod["spec"]["nodeName"], (parts.hostname or "", parts.port or names.API_SERVER_PORT)


def _document(node: Mapping[str, Any], endpoint: tuple[str, int] | None, *, is_init: bool) -> dict[str, Any]:
    addresses = [each["address"] for each in node["status"].get("addresses", ()) if each["type"] == "InternalIP"]
    document: dict[str, Any] = {
        "apiVersion": documents.V1BETA4,
        "kind": documents.INIT if is_init else documents.JOIN,
        "nodeRegistration": _registration(node, addresses),
    }
    if _is_master(node):
        address, port = endpoint or (addresses[0] if addresses else "", names.API_SERVER_PORT)
        local = {"localAPIEndpoint": {"advertiseAddress": address, "bindPort": port}}
        document |= local if is_init else {"controlPlane": local}
    return document


def _registration(node: Mapping[str, Any], addresses: list[str]) -> dict[str, Any]:
    is_master = _is_master(node)
    not_own = _OF_THE_KUBELET | (_OF_MASTERS if is_master else frozenset())
    labels = [f"{key}={value}" for key, value in node["metadata"].get("labels", {}).items() if key not in not_own]
    arguments = []
    if addresses:
        of_family = {":" in each: each for each in reversed(addresses)}  # the first one of each family
        both = [each for each in addresses if each in of_family.values()]
        arguments.append({"name": "node-ip", "value": ",".join(both)})
    if labels:
        arguments.append({"name": "node-labels", "value": ",".join(labels)})
    taints = [
        {key: taint[key] for key in ("key", "value", "effect") if taint.get(key)}
        for taint in node["spec"].get("taints", ())
        if not taint["key"].startswith(_PASSING)
    ]
    usual = [{"key": names.LABEL_CONTROL_PLANE, "effect": "NoSchedule"}] if is_master else []
    annotations = node["metadata"].get("annotations") or {}
    runtime = node["status"].get("nodeInfo", {}).get("containerRuntimeVersion", "")
    by_runtime = _CRIO_SOCKET if runtime.startswith("cri-o") else names.CRI_SOCKET
    return {
        "name": node["metadata"]["name"],
        "criSocket": annotations.get(names.ANNOTATION_CRI_SOCKET, by_runtime),
        "kubeletExtraArgs": arguments,
        **({} if taints == usual else {"taints": taints}),
    }
