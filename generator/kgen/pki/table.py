"""The table of certificates: what each one says, which clusters have it, and which files of it a machine gets.

The rows are kubeadm's: first its PKI directory, then the client certificates inside its kubeconfigs
(https://kubernetes.io/docs/setup/best-practices/certificates/ and the output of ``kubeadm v1.37 init --dry-run``).
The last one is kgen's own. It says what a kubelet with ``serverTLSBootstrap`` asks for
(https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from kgen.conditions import (
    Condition,
    always,
    binds_kubelet_client,
    has_etcd_ca_of_the_user,
    has_etcd_client_of_the_user,
    has_kubelet_serving_certificates,
    has_local_etcd,
    never,
    puts_kubelet_client_in_a_group,
    ships_all_ca_keys,
)
from kgen.config.network import go_address
from kgen.facts import names
from kgen.model import Cluster, Machine, Role

Usage = Literal["serverAuth", "clientAuth"]
Scope = Literal["cluster", "master", "machine"]
Sans = Callable[[Cluster, Machine], Iterable[str]]


def _every_master(cluster: Cluster, machine: Machine) -> bool:
    return True


def _first_master_if_kept(cluster: Cluster, machine: Machine) -> bool:
    return cluster.pki.keep_super_admin and machine.name == cluster.masters[0].name


def _endpoint(cluster: Cluster, machine: Machine) -> str:
    return cluster.server


def _own_apiserver(cluster: Cluster, machine: Machine) -> str:
    return machine.local_api_endpoint


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """The kubeconfig ``/etc/kubernetes/<name>.conf`` that holds a client certificate and its key."""

    server: Callable[[Cluster, Machine], str]
    """The URL of the API server it uses."""
    on: Callable[[Cluster, Machine], bool] = _every_master
    """Return whether the file is on this master. The certificate and key in the payload are not affected."""


@dataclass(frozen=True, slots=True)
class CertSpec:
    """One row: a certificate made once for the cluster, for every master, or for every listed machine."""

    name: str
    """Path below the PKI directory without suffix; for client certificates the stem of the kubeconfig."""
    ca: str | None
    """Name of the signing row; None: a self-signed CA."""
    cn: str
    """Common name; ``{machine}`` is the machine's name. Empty: the user brings the certificate."""
    groups: tuple[str, ...] = ()
    """Organizations of the subject, which Kubernetes reads as groups."""
    usages: tuple[Usage, ...] = ()
    scope: Scope = "cluster"
    sans: Sans | None = None
    """DNS names and addresses as text, in any order and with repetitions."""
    kubeconfig: Kubeconfig | None = None
    """The kubeconfig that holds the pair; None: the pair is in files of its own."""
    path: PurePosixPath | None = None
    """Path of the pair's files without suffix; None: they are in the PKI directory, as ``name`` says."""
    when: Condition = always
    """Return whether a cluster has this certificate."""
    ships_key: Condition = always
    """True if masters get the private key."""
    on_nodes: bool = False
    """True if nodes get the certificate without its key. They get both of a row with the scope ``machine``."""
    sends_chain: bool = False
    """True if the file has the chain of an intermediate CA, for clients that trust only the CAs above it."""

    def entry_name(self, machine: str) -> str:
        """Return the name in the bundle: ``ca``, ``m1/apiserver``."""
        return self.name if self.scope == "cluster" else f"{machine}/{self.name}"

    def owners(self, cluster: Cluster) -> tuple[Machine, ...]:
        """Return the machines of which each has a certificate of its own; none if it is made once for the cluster."""
        return {"cluster": (), "master": cluster.masters, "machine": cluster.machines}[self.scope]

    def is_on(self, machine: Machine) -> bool:
        """Return whether the machine or pool gets the certificate."""
        if self.scope == "machine":
            return not machine.is_pool
        return machine.role == "master" or self.on_nodes

    def common_name(self, machine: str) -> str:
        """Return the CN of ``machine``'s certificate, which is also the user's name in Kubernetes."""
        return self.cn.format(machine=machine)


def _apiserver_sans(cluster: Cluster, machine: Machine) -> Iterable[str]:
    yield from (machine.name, "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    yield f"kubernetes.default.svc.{cluster.networking.dns_domain}"
    yield str(cluster.service_address)
    yield from map(str, machine.addresses)
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


def _kubelet_sans(cluster: Cluster, machine: Machine) -> Iterable[str]:
    yield machine.name
    yield from map(str, machine.addresses)


def _etcd(name: str, cn: str, usages: tuple[Usage, ...], sans: Sans | None = None) -> CertSpec:
    """Return the row of a certificate that masters with an etcd member have."""
    return CertSpec(name, ETCD_CA, cn, (), usages, "master", sans, when=has_local_etcd)


ETCD_CA = "etcd/ca"
ETCD_CLIENT = "apiserver-etcd-client"
_SERVER: tuple[Usage, ...] = ("serverAuth",)
_CLIENT: tuple[Usage, ...] = ("clientAuth",)
_BOTH: tuple[Usage, ...] = ("serverAuth", "clientAuth")
_KUBELET_CLIENT = "apiserver-kubelet-client"
_KUBELET_CLIENT_CN = "kube-apiserver-kubelet-client"
_ADMINS = (names.GROUP_CLUSTER_ADMINS,)
_AT_ENDPOINT = Kubeconfig(_endpoint)
_AT_ENDPOINT_IF_KEPT = Kubeconfig(_endpoint, _first_master_if_kept)
_AT_OWN_APISERVER = Kubeconfig(_own_apiserver)

CERTS: tuple[CertSpec, ...] = (
    CertSpec("ca", None, "kubernetes", on_nodes=True),
    CertSpec("apiserver", "ca", "kube-apiserver", (), _SERVER, "master", _apiserver_sans, sends_chain=True),
    CertSpec(_KUBELET_CLIENT, "ca", _KUBELET_CLIENT_CN, (), _CLIENT, "master", when=binds_kubelet_client),
    CertSpec(
        _KUBELET_CLIENT, "ca", _KUBELET_CLIENT_CN, _ADMINS, _CLIENT, "master", when=puts_kubelet_client_in_a_group
    ),
    CertSpec("front-proxy-ca", None, "front-proxy-ca", ships_key=ships_all_ca_keys),
    CertSpec("front-proxy-client", "front-proxy-ca", "front-proxy-client", (), _CLIENT, "master"),
    CertSpec(ETCD_CA, None, "etcd-ca", when=has_local_etcd, ships_key=ships_all_ca_keys),
    _etcd("etcd/server", "{machine}", _BOTH, _etcd_server_sans),
    _etcd("etcd/peer", "{machine}", _BOTH, _etcd_peer_sans),
    _etcd("etcd/healthcheck-client", "kube-etcd-healthcheck-client", _CLIENT),
    _etcd(ETCD_CLIENT, "kube-apiserver-etcd-client", _CLIENT),
    CertSpec(ETCD_CA, None, "", when=has_etcd_ca_of_the_user, ships_key=never),
    CertSpec(ETCD_CLIENT, ETCD_CA, "", (), _CLIENT, when=has_etcd_client_of_the_user),
    CertSpec("admin", "ca", "kubernetes-admin", _ADMINS, _CLIENT, kubeconfig=_AT_ENDPOINT),
    CertSpec(
        "super-admin",
        "ca",
        "kubernetes-super-admin",
        (names.GROUP_MASTERS,),
        _CLIENT,
        kubeconfig=_AT_ENDPOINT_IF_KEPT,
    ),
    CertSpec(
        "controller-manager",
        "ca",
        "system:kube-controller-manager",
        (),
        _CLIENT,
        "master",
        kubeconfig=_AT_OWN_APISERVER,
    ),
    CertSpec("scheduler", "ca", "system:kube-scheduler", (), _CLIENT, "master", kubeconfig=_AT_OWN_APISERVER),
    CertSpec(
        "kubelet",
        "ca",
        names.NODE_USER_PREFIX + "{machine}",
        (names.GROUP_NODES,),
        _CLIENT,
        "master",
        kubeconfig=_AT_OWN_APISERVER,
    ),
    CertSpec(
        "kubelet-serving",
        "ca",
        names.NODE_USER_PREFIX + "{machine}",
        (names.GROUP_NODES,),
        _SERVER,
        "machine",
        _kubelet_sans,
        path=names.KUBELET_SERVING,
        when=has_kubelet_serving_certificates,
    ),
)
"""Every CA is listed before the certificates it signs. Rows with the same name have conditions that exclude each
other."""

SERVICE_ACCOUNT_FILES = ("sa.key", "sa.pub")
"""The pair that signs and verifies service account tokens: private key, public key. Masters get both."""


def certificates(cluster: Cluster) -> tuple[CertSpec, ...]:
    """Return the rows that ``cluster`` has, in the table's order."""
    return tuple(spec for spec in CERTS if spec.when(cluster))


def certificates_of(cluster: Cluster, machine: Machine) -> tuple[CertSpec, ...]:
    """Return the rows whose certificates a machine or pool gets, in the table's order."""
    return tuple(spec for spec in certificates(cluster) if spec.is_on(machine))


def file_names(spec: CertSpec, cluster: Cluster, role: Role) -> tuple[str, ...]:
    """Return the names of the certificate and, if a machine of this role gets it, of the key.

    A payload's blobs have these names. In the PKI directory they are also the paths of files.
    """
    may_have_key = role == "master" or spec.scope == "machine"
    gets_key = may_have_key and spec.ships_key(cluster) and spec.name not in cluster.pki.external
    return (f"{spec.name}.crt", f"{spec.name}.key") if gets_key else (f"{spec.name}.crt",)


def pki_files(cluster: Cluster, role: Role) -> Iterator[str]:
    """Yield the paths, below the PKI directory, of the files that a machine of this role gets."""
    for spec in certificates(cluster):
        if spec.kubeconfig is None and spec.path is None and (role == "master" or spec.on_nodes):
            yield from file_names(spec, cluster, role)
    if role == "master":
        yield from SERVICE_ACCOUNT_FILES


def other_files(cluster: Cluster, machine: Machine) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield path and blob of the files outside of the PKI directory that hold a certificate or key of the machine."""
    for spec in certificates_of(cluster, machine):
        if spec.path is not None:
            for name in file_names(spec, cluster, machine.role):
                yield spec.path.with_suffix(PurePosixPath(name).suffix), name


def kubeconfigs(cluster: Cluster) -> dict[str, tuple[CertSpec, Kubeconfig]]:
    """Return the rows with a kubeconfig by name, in the table's order."""
    return {spec.name: (spec, spec.kubeconfig) for spec in certificates(cluster) if spec.kubeconfig}


def sends_chain(row: str) -> bool:
    """Return whether the certificates of the row ``row`` have their CA's chain behind them."""
    return any(spec.sends_chain for spec in CERTS if spec.name == row)


def as_address(text: str) -> str | None:
    """Return the canonical form of an IP address, or None when ``text`` is a DNS name."""
    try:
        return str(go_address(text))
    except ValueError:
        return None
