"""Kubeconfigs: those of clients with a certificate, the nodes' bootstrap file, and the text in cluster-info."""

from __future__ import annotations

from kgen import engine
from kgen.facts import versions
from kgen.model import Cluster, Machine
from kgen.payload import Content, PemBase64, StoredToken
from kgen.pki import table

_CA = PemBase64("ca.crt")
_TEMPLATE = "manifests/kubeconfig.yaml.j2"
_BOOTSTRAP_USER = "tls-bootstrap-token-user"


def client(cluster: Cluster, name: str, machine: Machine) -> Content:
    """Return ``<name>.conf`` of the master ``machine``; ``name`` is a row with a kubeconfig in ``kgen.pki.table``."""
    spec, kubeconfig = table.kubeconfigs(cluster)[name]
    certificate, key = table.file_names(spec, cluster, "master")
    user = spec.common_name(machine.name)
    return engine.render_content(
        _TEMPLATE,
        preferences=_has_preferences(cluster),
        ca=_CA,
        server=kubeconfig.server(cluster, machine),
        cluster=cluster.cluster_name,
        context=f"{user}@{cluster.cluster_name}",
        user=user,
        token=None,
        certificate=PemBase64(certificate),
        key=PemBase64(key),
    )


def bootstrap(cluster: Cluster, token: str | StoredToken) -> Content:
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
