"""What lands on a machine: every file with its place, mode and stage, in the order the runner writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from kgen import names, versions
from kgen.config.model import Cluster, Machine
from kgen.payload import Content, NodeFile, Pem
from kgen.render import bridge, engine, environment, kubeconfig, kubelet, manifests, node_labels

MODULES = ("overlay", "br_netfilter")
"""Kernel modules that containerd and bridge networks need."""

_PUBLIC = 0o644
_PRIVATE = 0o600
_MODULES_LOAD = PurePosixPath("/etc/modules-load.d/kgen.conf")
_SYSCTL = PurePosixPath("/etc/sysctl.d/kgen.conf")
_PROXY_UNITS = ("containerd", "kubelet")

_PKI_FILES = (
    "ca.crt",
    "ca.key",
    "apiserver.crt",
    "apiserver.key",
    "apiserver-kubelet-client.crt",
    "apiserver-kubelet-client.key",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "front-proxy-client.crt",
    "front-proxy-client.key",
    "etcd/ca.crt",
    "etcd/ca.key",
    "etcd/server.crt",
    "etcd/server.key",
    "etcd/peer.crt",
    "etcd/peer.key",
    "etcd/healthcheck-client.crt",
    "etcd/healthcheck-client.key",
    "apiserver-etcd-client.crt",
    "apiserver-etcd-client.key",
    "sa.key",
    "sa.pub",
)
_CA_KEYS_KEPT_BACK = ("front-proxy-ca.key", "etcd/ca.key")
"""Keys that nothing on a running master needs; they leave the bundle only with ``pki.shipCAKeys: all``."""


def master_files(cluster: Cluster, machine: Machine) -> tuple[NodeFile, ...]:
    """Return the files of a master; the static pods come last, in the order they start."""
    pki = [_pki_file(name) for name in pki_file_names(cluster)]
    kubeconfigs = [
        _file(names.KUBERNETES_DIR / f"{name}.conf", kubeconfig.client(cluster, name, machine), _PRIVATE)
        for name in _kubeconfig_names(cluster, machine)
    ]
    pods = [
        NodeFile(manifests.path(pod), (manifests.manifest(pod, cluster, machine),), _PRIVATE, pod.stage)
        for pod in manifests.STATIC_PODS
    ]
    others = (*bridge.files(cluster, machine), *node_labels.files(cluster, machine))
    return (*pki, *kubeconfigs, *_system_files(cluster), *others, *_kubelet_files(cluster, machine), *pods)


def pki_file_names(cluster: Cluster) -> tuple[str, ...]:
    """Return the names of a master's files below the PKI directory; each is also the name of its blob."""
    kept_back = () if cluster.pki.ship_ca_keys == "all" else _CA_KEYS_KEPT_BACK
    return tuple(name for name in _PKI_FILES if name not in kept_back)


class WorkerFiles:
    """The files of nodes; what they share is computed once."""

    def __init__(self, cluster: Cluster, token: str) -> None:
        """Compute what all nodes share. ``token`` is the bootstrap token they join with."""
        self._cluster = cluster
        bootstrap = kubeconfig.bootstrap(cluster, token)
        self._shared = (
            _pki_file("ca.crt"),
            _file(names.BOOTSTRAP_KUBELET_CONF, bootstrap, _PRIVATE),
            *_system_files(cluster),
        )
        self._by_cri_socket: dict[str, tuple[NodeFile, ...]] = {}

    def of(self, machine: Machine) -> tuple[NodeFile, ...]:
        """Return the files of a node or pool."""
        cri_socket = machine.registration.cri_socket
        if cri_socket not in self._by_cri_socket:
            self._by_cri_socket[cri_socket] = _kubelet_configuration(self._cluster, cri_socket)
        network = bridge.files(self._cluster, machine)
        return (*self._shared, *network, _kubelet_flags(self._cluster, machine), *self._by_cri_socket[cri_socket])


def directories(cluster: Cluster, machine: Machine) -> Mapping[PurePosixPath, int]:
    """Return the directories whose mode matters, with their modes."""
    shared = {names.MANIFESTS_DIR: 0o700, names.KUBELET_DIR: 0o700}
    return shared | {cluster.etcd.data_dir: 0o700} if machine.role == "master" else shared


def sysctls(cluster: Cluster) -> dict[str, str]:
    """Return the kernel parameters for forwarding between pods, by the address families the cluster uses."""
    networks = (*cluster.networking.service_subnets, *cluster.networking.pod_subnets)
    families = {network.version for network in networks}
    values: dict[str, str] = {}
    if 4 in families:
        values |= {"net.bridge.bridge-nf-call-iptables": "1", "net.ipv4.ip_forward": "1"}
    if 6 in families:
        values |= {
            "net.bridge.bridge-nf-call-ip6tables": "1",
            "net.ipv6.conf.all.forwarding": "1",
            "net.ipv6.conf.default.forwarding": "1",
        }
    return values


def _kubeconfig_names(cluster: Cluster, machine: Machine) -> Iterator[str]:
    is_first = machine.name == cluster.masters[0].name
    for row in kubeconfig.CLIENTS:
        if row.name != "super-admin" or (is_first and cluster.pki.keep_super_admin):
            yield row.name


def _system_files(cluster: Cluster) -> Iterator[NodeFile]:
    yield _file(_MODULES_LOAD, ("".join(f"{module}\n" for module in MODULES),), _PUBLIC)
    settings = "".join(f"{name} = {value}\n" for name, value in sysctls(cluster).items())
    yield _file(_SYSCTL, (settings,), _PUBLIC)
    proxies = environment.proxies(cluster)
    if proxies:
        assignments = (f"{name}={value}" for name, value in proxies.items())
        lines = [f"Environment={_systemd_quoted(assignment)}\n" for assignment in assignments]
        for unit in _PROXY_UNITS:
            path = PurePosixPath(f"/etc/systemd/system/{unit}.service.d/kgen-proxy.conf")
            yield _file(path, ("".join(["[Service]\n", *lines]),), _PUBLIC)


def _systemd_quoted(assignment: str) -> str:
    """Return an assignment as unit files quote it: C escapes like JSON's, ``%`` doubled."""
    return engine.scalar(assignment).replace("%", "%%")


def _kubelet_files(cluster: Cluster, machine: Machine) -> Iterator[NodeFile]:
    """Yield the arguments before the configuration, without which no kubelet starts: none runs without arguments."""
    yield _kubelet_flags(cluster, machine)
    yield from _kubelet_configuration(cluster, machine.registration.cri_socket)


def _kubelet_configuration(cluster: Cluster, cri_socket: str) -> tuple[NodeFile, ...]:
    config = _file(names.KUBELET_CONFIG, (kubelet.config_yaml(cluster, cri_socket),), _PUBLIC)
    if not versions.has_instance_config(cluster.kubernetes_version):
        return (config,)
    return config, _file(names.KUBELET_INSTANCE_CONFIG, (kubelet.instance_config(cri_socket),), _PUBLIC)


def _kubelet_flags(cluster: Cluster, machine: Machine) -> NodeFile:
    return _file(names.KUBELET_FLAGS_ENV, (kubelet.flags_env(cluster, machine),), _PUBLIC)


def _pki_file(name: str) -> NodeFile:
    return _file(names.PKI_DIR / name, (Pem(name),), _PUBLIC if name.endswith(".crt") else _PRIVATE)


def _file(path: PurePosixPath, content: Content, mode: int) -> NodeFile:
    return NodeFile(path, content, mode)
