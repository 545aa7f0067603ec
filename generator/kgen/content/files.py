"""The files of a machine: each with its path, mode and stage, in the order the runner writes them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from pathlib import PurePosixPath

from kgen.conditions import has_local_etcd
from kgen.content import bridge, environment, kubeconfig, kubelet, manifests, metadata_fence, node_labels, own_values
from kgen.facts import names, versions
from kgen.model import Cluster, Machine
from kgen.payload import Content, NodeFile, Pem, StoredToken
from kgen.pki import table

MODULES = ("overlay", "br_netfilter")
"""Kernel modules that containerd and bridge networks need."""

_PUBLIC = 0o644
_PRIVATE = 0o600
_MODULES_LOAD = PurePosixPath("/etc/modules-load.d/kgen.conf")
_SYSCTL = PurePosixPath("/etc/sysctl.d/kgen.conf")
_PROXY_UNITS = ("containerd", "kubelet")
_PROXY_ENV = PurePosixPath("/etc/kgen/proxy.env")
"""For root only: a proxy's URL may hold a password, and anyone may read a unit and its Environment= lines."""


def master_files(cluster: Cluster, machine: Machine) -> tuple[NodeFile, ...]:
    """Return the files of a master; the static pods come last, in the order they start."""
    pki = [_pki_file(name) for name in table.pki_files(cluster, "master")]
    kubeconfigs = [
        _file(names.KUBERNETES_DIR / f"{name}.conf", kubeconfig.client(cluster, name, machine), _PRIVATE)
        for name, (_, row) in table.kubeconfigs(cluster).items()
        if row.on(cluster, machine)
    ]
    pods = [
        NodeFile(manifests.path(pod), (manifests.manifest(pod, cluster, machine),), _PRIVATE, pod.stage)
        for pod in manifests.static_pods(cluster)
    ]
    if "ca" in cluster.pki.external:  # nothing in the cluster signs the kubelet's certificate
        client = (Pem("kubelet.crt"), Pem("kubelet.key"))
        kubeconfigs.append(_file(names.KUBELET_CLIENT, client, _PRIVATE))
    others = (*bridge.files(cluster, machine), *node_labels.files(cluster, machine))
    others = (*_other_pairs(cluster, machine), *_system_files(cluster, machine), *others, *_user_files(machine))
    return (*pki, *kubeconfigs, *others, _kubelet_flags(cluster, machine), *_kubelet_config(cluster, machine), *pods)


class WorkerFiles:
    """The files of nodes and pools. Files that several nodes share are computed once."""

    def __init__(self, cluster: Cluster, token: str, pool_tokens: Mapping[str, str] | None = None) -> None:
        """Compute the files that all nodes share.

        ``token`` is the bootstrap token they join with; ``pool_tokens`` those of the pools with one of their own.
        """
        self._cluster = cluster
        self._pki = tuple(_pki_file(name) for name in table.pki_files(cluster, "node"))
        self._bootstrap = _bootstrap(cluster, token)
        self._of_pools = {name: _bootstrap(cluster, own) for name, own in (pool_tokens or {}).items()}
        self._by_settings: dict[Hashable, tuple[tuple[NodeFile, ...], tuple[NodeFile, ...]]] = {}

    def of(self, machine: Machine) -> tuple[NodeFile, ...]:
        """Return the files of a node or pool."""
        key = machine.own_settings
        if key not in self._by_settings:
            system = (*_system_files(self._cluster, machine), *_user_files(machine))
            self._by_settings[key] = system, _kubelet_config(self._cluster, machine)
        system, config = self._by_settings[key]
        network = bridge.files(self._cluster, machine)
        pairs = _other_pairs(self._cluster, machine)
        bootstrap = self._of_pools.get(machine.name, self._bootstrap)
        if machine.join_from == "ssm":
            bootstrap = _bootstrap(self._cluster, StoredToken(names.token_parameter(self._cluster.name, machine.name)))
        return (*self._pki, bootstrap, *pairs, *system, *network, _kubelet_flags(self._cluster, machine), *config)


def _bootstrap(cluster: Cluster, token: str | StoredToken) -> NodeFile:
    return _file(names.BOOTSTRAP_KUBELET_CONF, kubeconfig.bootstrap(cluster, token), _PRIVATE)


def directories(cluster: Cluster, machine: Machine) -> Mapping[PurePosixPath, int]:
    """Return the directories whose mode matters, with their modes."""
    shared = {names.MANIFESTS_DIR: 0o700, names.KUBELET_DIR: 0o700}
    has_data = machine.role == "master" and has_local_etcd(cluster)
    return shared | {cluster.etcd.data_dir: 0o700} if has_data else shared


def sysctls(cluster: Cluster) -> dict[str, str]:
    """Return the kernel parameters for forwarding between pods, by the address families the cluster uses."""
    networks = (*cluster.networking.service_subnets, *cluster.networking.pod_subnets)
    families = {network.version for network in networks}
    return {name: "1" for family in sorted(families) for name in names.POD_SYSCTLS[family]}


def _system_files(cluster: Cluster, machine: Machine) -> Iterator[NodeFile]:
    modules = dict.fromkeys((*MODULES, *machine.kernel_modules))
    yield _file(_MODULES_LOAD, ("".join(f"{module}\n" for module in modules),), _PUBLIC)
    values = {**sysctls(cluster), **machine.sysctls}
    settings = "".join(f"{name} = {value}\n" for name, value in values.items())
    yield _file(_SYSCTL, (settings,), _PUBLIC)
    proxies = environment.proxies(cluster)
    if proxies:
        lines = (f"{name}={environment_quoted(value)}\n" for name, value in proxies.items())
        yield _file(_PROXY_ENV, ("".join(lines),), _PRIVATE)
        for unit in _PROXY_UNITS:
            path = PurePosixPath(f"/etc/systemd/system/{unit}.service.d/kgen-proxy.conf")
            yield _file(path, (f"[Service]\nEnvironmentFile={_PROXY_ENV}\n",), _PUBLIC)
    yield from metadata_fence.files(cluster)


def _user_files(machine: Machine) -> Iterator[NodeFile]:
    """Yield the user's files and static pods. They stand before config.yaml, without which no kubelet starts."""
    for file in machine.files:
        yield NodeFile(file.path, (file.content,), file.mode, owner="" if file.owner == "root:root" else file.owner)


def environment_quoted(value: str) -> str:
    """Return a value as systemd's environment files quote it (systemd.exec(5), ``EnvironmentFile=``)."""
    return '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'


def _kubelet_config(cluster: Cluster, machine: Machine) -> tuple[NodeFile, ...]:
    """Return the files that come last: the kubelet starts only once config.yaml exists, so it never lacks arguments."""
    mode = _PUBLIC if cluster.hardening == "none" else _PRIVATE
    config = _file(names.KUBELET_CONFIG, (kubelet.config_yaml(cluster, machine),), mode)
    if not versions.has_instance_config(cluster.kubernetes_version):
        return (config,)
    return config, _file(names.KUBELET_INSTANCE_CONFIG, (kubelet.instance_config(machine),), mode)


def _kubelet_flags(cluster: Cluster, machine: Machine) -> NodeFile:
    text = kubelet.flags_env(cluster, machine)
    return _file(names.KUBELET_FLAGS_ENV, own_values.content(text, cluster), _PUBLIC)


def _pki_file(name: str) -> NodeFile:
    return _pem_file(names.PKI_DIR / name, name)


def _other_pairs(cluster: Cluster, machine: Machine) -> Iterator[NodeFile]:
    return (_pem_file(path, blob) for path, blob in table.other_files(cluster, machine))


def _pem_file(path: PurePosixPath, blob: str) -> NodeFile:
    return _file(path, (Pem(blob),), _PUBLIC if blob.endswith(".crt") else _PRIVATE)


def _file(path: PurePosixPath, content: Content, mode: int) -> NodeFile:
    return NodeFile(path, content, mode)
