"""Kubeconfigs: a table of the clients' files, the nodes' bootstrap file, and the text in cluster-info."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kgen import names, versions
from kgen.config.model import Cluster, Machine
from kgen.payload import Content, PemBase64
from kgen.render import engine

_CA = PemBase64("ca.crt")
_TEMPLATE = "manifests/kubeconfig.yaml.j2"
_BOOTSTRAP_USER = "tls-bootstrap-token-user"


@dataclass(frozen=True, slots=True)
class Client:
    """A kubeconfig with a client certificate; the pair is in the blobs ``<name>.crt`` and ``<name>.key``."""

    name: str
    user: Callable[[Machine], str]
    server: Callable[[Cluster, Machine], str]


def _endpoint(cluster: Cluster, machine: Machine) -> str:
    return cluster.server


def _own_apiserver(cluster: Cluster, machine: Machine) -> str:
    return machine.local_api_endpoint


CLIENTS: tuple[Client, ...] = (
    Client("admin", lambda machine: "kubernetes-admin", _endpoint),
    Client("super-admin", lambda machine: "kubernetes-super-admin", _endpoint),
    Client("controller-manager", lambda machine: "system:kube-controller-manager", _own_apiserver),
    Client("scheduler", lambda machine: "system:kube-scheduler", _own_apiserver),
    Client("kubelet", lambda machine: names.NODE_USER_PREFIX + machine.name, _own_apiserver),
)
"""kubeadm's five, since v1.33 with the kubelet of a master at its own API server."""


def client(cluster: Cluster, name: str, machine: Machine) -> Content:
    """Return ``<name>.conf`` as it stands on the master ``machine``; ``name`` is a row of ``CLIENTS``."""
    row = next(row for row in CLIENTS if row.name == name)
    return engine.render_content(
        _TEMPLATE,
        preferences=_has_preferences(cluster),
        ca=_CA,
        server=row.server(cluster, machine),
        cluster=cluster.cluster_name,
        context=f"{row.user(machine)}@{cluster.cluster_name}",
        user=row.user(machine),
        token=None,
        certificate=PemBase64(f"{name}.crt"),
        key=PemBase64(f"{name}.key"),
    )


def bootstrap(cluster: Cluster, token: str) -> Content:
    """Return ``bootstrap-kubelet.conf``, with which a node's kubelet asks for its certificate.

    ``kubeadm join`` calls the context the same in every cluster.
    """
    return engine.render_content(
        _TEMPLATE,
        preferences=_has_preferences(cluster),
        ca=_CA,
        server=cluster.server,
        cluster=cluster.cluster_name,
        context=f"{_BOOTSTRAP_USER}@kubernetes",
        user=_BOOTSTRAP_USER,
        token=token,
    )


def cluster_info(cluster: Cluster) -> Content:
    """Return the kubeconfig in ``kube-public/cluster-info``: endpoint and CA, no user."""
    return engine.render_content(
        "manifests/cluster-info.yaml.j2", ca=_CA, server=cluster.server, preferences=_has_preferences(cluster)
    )


def _has_preferences(cluster: Cluster) -> bool:
    return versions.has_empty_preferences(cluster.kubernetes_version)
