"""The named conditions of tables: they say which clusters have a certificate, a static pod or an object."""

from __future__ import annotations

from collections.abc import Callable

from kgen.facts import versions
from kgen.model import Cluster

Condition = Callable[[Cluster], bool]


def always(cluster: Cluster) -> bool:
    """Return True: every cluster has it."""
    return True


def never(cluster: Cluster) -> bool:
    """Return False: no cluster has it."""
    return False


def binds_kubelet_client(cluster: Cluster) -> bool:
    """Return whether a binding gives the API servers' client its rights at kubelets."""
    return versions.binds_kubelet_client(cluster.kubernetes_version)


def puts_kubelet_client_in_a_group(cluster: Cluster) -> bool:
    """Return whether a group in its certificate gives the API servers' client its rights at kubelets."""
    return not binds_kubelet_client(cluster)


def has_local_etcd(cluster: Cluster) -> bool:
    """Return whether every master runs a member of etcd."""
    return cluster.external_etcd is None


def has_etcd_ca_of_the_user(cluster: Cluster) -> bool:
    """Return whether etcd runs outside of the masters, and the user brings its CA."""
    return cluster.external_etcd is not None and cluster.external_etcd.ca is not None


def has_etcd_client_of_the_user(cluster: Cluster) -> bool:
    """Return whether etcd runs outside of the masters, and the user brings the API servers' certificate for it."""
    return cluster.external_etcd is not None and cluster.external_etcd.certificate is not None


def has_intermediate_ca(cluster: Cluster) -> bool:
    """Return whether another CA signed one of the cluster's CAs."""
    return bool(cluster.pki.intermediate)


def ships_all_ca_keys(cluster: Cluster) -> bool:
    """Return whether masters get the keys of all CAs, as with kubeadm."""
    return cluster.pki.ship_ca_keys == "all"


def has_kubelet_serving_certificates(cluster: Cluster) -> bool:
    """Return whether the bundle has a serving certificate for the kubelet of every listed machine.

    The cluster's CA has then signed the serving certificate of every kubelet: pools have to ask it for theirs.
    """
    return cluster.pki.kubelet_serving_certificates


def has_coredns(cluster: Cluster) -> bool:
    """Return whether kgen publishes CoreDNS."""
    return not cluster.dns.disabled


def has_kube_proxy(cluster: Cluster) -> bool:
    """Return whether kgen publishes kube-proxy."""
    return not cluster.proxy.disabled
