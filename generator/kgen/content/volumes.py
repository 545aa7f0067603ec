"""The parts of the machine's disk that the static pods see.

Facts: the manifests that ``kubeadm init --dry-run`` prints.
"""

from __future__ import annotations

from collections.abc import Sequence

from kgen.content import flags
from kgen.facts import names, versions
from kgen.model import Cluster, Volume

_FLEXVOLUMES = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"


def apiserver(cluster: Cluster) -> list[Volume]:
    """Return kube-apiserver's volumes: the PKI directory and the machine's CA certificates."""
    return [_directory("k8s-certs", str(names.PKI_DIR)), *(_directory(*item) for item in names.CA_DIRECTORIES.items())]


def controller_manager(cluster: Cluster) -> list[Volume]:
    """Return kube-controller-manager's volumes: the API server's, its kubeconfig, and flexvolume plugins."""
    volumes = [*apiserver(cluster), _kubeconfig("controller-manager.conf")]
    if versions.mounts_flexvolumes(cluster.kubernetes_version):
        path = flags.last(cluster.controller_manager.extra_args, "flex-volume-plugin-dir", _FLEXVOLUMES)
        volumes.append(_directory("flexvolume-dir", path, read_only=False))
    return volumes


def scheduler(cluster: Cluster) -> list[Volume]:
    """Return kube-scheduler's volume: its kubeconfig."""
    return [_kubeconfig("scheduler.conf")]


def etcd(cluster: Cluster) -> list[Volume]:
    """Return etcd's volumes, in the order kubeadm mounts them: data, then keys."""
    return [
        _directory("etcd-data", str(cluster.etcd.data_dir), read_only=False),
        _directory("etcd-certs", str(names.PKI_DIR / "etcd"), read_only=False),
    ]


def merge(volumes: Sequence[Volume], extra: Sequence[Volume]) -> list[Volume]:
    """Return the volumes sorted by name; an extra one replaces a default of the same name."""
    by_name = {volume.name: volume for volume in (*volumes, *extra)}
    return [by_name[name] for name in sorted(by_name)]


def _directory(name: str, path: str, *, read_only: bool = True) -> Volume:
    return Volume(name, path, path, read_only, "DirectoryOrCreate")


def _kubeconfig(name: str) -> Volume:
    path = str(names.KUBERNETES_DIR / name)
    return Volume("kubeconfig", path, path, read_only=True, path_type="FileOrCreate")
