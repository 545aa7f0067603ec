"""The certificates of a cluster: name, CA, subject, usages, names they answer to, and for whom they are made.

Rows 1 to 10 are kubeadm's PKI directory, the others the client certificates inside its kubeconfigs
(https://kubernetes.io/docs/setup/best-practices/certificates/ and the output of ``kubeadm v1.37 init --dry-run``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from kgen import names
from kgen.config.model import Cluster, Machine

Usage = Literal["serverAuth", "clientAuth"]
Scope = Literal["cluster", "master"]
Sans = Callable[[Cluster, Machine], Iterable[str]]


@dataclass(frozen=True, slots=True)
class CertSpec:
    """One row: a certificate made once for the cluster, or once for every master."""

    name: str
    """Place below the PKI directory without suffix; for client certificates the stem of the kubeconfig."""
    ca: str | None
    """Name of the signing row; None: a self-signed CA."""
    cn: str
    """Common name; ``{machine}`` is the machine's name."""
    groups: tuple[str, ...] = ()
    """Organizations of the subject, which Kubernetes reads as groups."""
    usages: tuple[Usage, ...] = ()
    scope: Scope = "cluster"
    sans: Sans | None = None
    """DNS names and addresses as text, in any order and with repetitions."""
    unbound_groups: tuple[str, ...] = ()
    """Its groups with a kubeadm that does not give it rights by a binding (``versions.binds_kubelet_client``)."""


def _apiserver_sans(cluster: Cluster, machine: Machine) -> Iterable[str]:
    yield from (machine.name, "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    yield f"kubernetes.default.svc.{cluster.networking.dns_domain}"
    yield str(cluster.service_address)
    yield str(machine.address)
    if cluster.control_plane_endpoint is not None:
        yield cluster.control_plane_endpoint.host
    yield from cluster.api_server.cert_sans


def _etcd_member_sans(machine: Machine, extra: Iterable[str]) -> Iterable[str]:
    yield from (machine.name, "localhost", str(machine.address), "127.0.0.1", "::1")
    yield from extra


def _etcd_server_sans(cluster: Cluster, machine: Machine) -> Iterable[str]:
    return _etcd_member_sans(machine, cluster.etcd.server_cert_sans)


def _etcd_peer_sans(cluster: Cluster, machine: Machine) -> Iterable[str]:
    return _etcd_member_sans(machine, cluster.etcd.peer_cert_sans)


_SERVER: tuple[Usage, ...] = ("serverAuth",)
_CLIENT: tuple[Usage, ...] = ("clientAuth",)
_BOTH: tuple[Usage, ...] = ("serverAuth", "clientAuth")

CERTS: tuple[CertSpec, ...] = (
    CertSpec("ca", None, "kubernetes"),
    CertSpec("apiserver", "ca", "kube-apiserver", (), _SERVER, "master", _apiserver_sans),
    CertSpec(
        "apiserver-kubelet-client",
        "ca",
        "kube-apiserver-kubelet-client",
        (),
        _CLIENT,
        "master",
        unbound_groups=(names.GROUP_CLUSTER_ADMINS,),
    ),
    CertSpec("front-proxy-ca", None, "front-proxy-ca"),
    CertSpec("front-proxy-client", "front-proxy-ca", "front-proxy-client", (), _CLIENT, "master"),
    CertSpec("etcd/ca", None, "etcd-ca"),
    CertSpec("etcd/server", "etcd/ca", "{machine}", (), _BOTH, "master", _etcd_server_sans),
    CertSpec("etcd/peer", "etcd/ca", "{machine}", (), _BOTH, "master", _etcd_peer_sans),
    CertSpec("etcd/healthcheck-client", "etcd/ca", "kube-etcd-healthcheck-client", (), _CLIENT, "master"),
    CertSpec("apiserver-etcd-client", "etcd/ca", "kube-apiserver-etcd-client", (), _CLIENT, "master"),
    CertSpec("admin", "ca", "kubernetes-admin", (names.GROUP_CLUSTER_ADMINS,), _CLIENT),
    CertSpec("super-admin", "ca", "kubernetes-super-admin", (names.GROUP_MASTERS,), _CLIENT),
    CertSpec("controller-manager", "ca", "system:kube-controller-manager", (), _CLIENT, "master"),
    CertSpec("scheduler", "ca", "system:kube-scheduler", (), _CLIENT, "master"),
    CertSpec("kubelet", "ca", names.NODE_USER_PREFIX + "{machine}", (names.GROUP_NODES,), _CLIENT, "master"),
)
"""Every CA stands before the certificates it signs."""


def as_address(text: str) -> str | None:
    """Return the canonical form of an IP address, or None when ``text`` is a DNS name."""
    try:
        return str(ip_address(text))
    except ValueError:
        return None
