"""The part of kubeadm's preflight that differs by Kubernetes minor, as rows.

Facts: the reports of the real ``kubeadm init phase preflight`` of v1.33.13, v1.34.4, v1.35.4, v1.36.3 and v1.37.2, with
an empty kernel config, both versions of control groups, an old kernel and busy ports (docs/reference/preflight.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kgen.facts.versions import Version, has_reached

NAMES = (
    "all",
    "ContainerRuntimeVersion",
    "CRI",
    "CreateJob",
    "ExternalEtcdClientCertificates",
    "ExternalEtcdVersion",
    "FileExisting-cp",
    "FileExisting-losetup",
    "FileExisting-mount",
    "Firewalld",
    "Hostname",
    "HTTPProxy",
    "HTTPProxyCIDR",
    "ImagePull",
    "IsPrivilegedUser",
    "KgenAddress",
    "KgenImage",
    "KgenNodeName",
    "KgenSwap",
    "KubeletVersion",
    "KubernetesVersion",
    "Mem",
    "NumCPU",
    "Service-Kubelet",
    "Swap",
    "SystemVerification",
)
"""The fixed names that ``ignorePreflightErrors`` may hold: those of kubeadm in all minors, and ours."""

_FROM_A_PATH = re.compile(r"port-\d+|(file|dir)available--.+|filecontent--proc-sys-.+|fileexisting-.+")

_OPTIONS = (
    "NET_NS PID_NS IPC_NS UTS_NS EXT4_FS NETFILTER_XT_TARGET_REDIRECT NETFILTER_XT_MATCH_COMMENT FAIR_GROUP_SCHED"
)
"""The kernel options that kubeadm requires, except those that these options or the controllers imply:

NAMESPACES, CGROUPS, CGROUP_SCHED, CPUSETS, MEMCG and CGROUP_PIDS; PROC_FS and INET, without which the checks could not
run; IP_NF_TARGET_REDIRECT, which selects its successor.
"""

_V1 = "cpu cpuacct cpuset devices freezer memory pids " + _OPTIONS
_V2 = "cpu cpuset memory pids " + _OPTIONS
_V2_FROM_35 = _V2 + " CGROUP_BPF"
_KERNELS_33 = r"4\.(19|[2-9]\d)\b|[5-9]\.|\d\d"
_KERNELS_34 = r"5\.(4|10|15)\b|[6-9]\.|\d\d"


@dataclass(frozen=True, slots=True)
class PreflightRow:
    """The rules from ``first_minor`` on, until the next row.

    ``kernels`` is a pattern that the kernel's release must begin with; ``kernel_is_warning`` says how another kernel
    is reported. ``needs`` lists controllers and kernel options: the first text for control groups v2, the second, if
    kubeadm accepts them, for v1. ``binds_ports_everywhere`` says whether a port must be free at every address, or
    only where its program listens. ``asks_runtime_config`` says whether kubeadm warns of a container runtime without
    the method RuntimeConfig. ``oldest_etcd`` is the oldest version of an external etcd.
    """

    first_minor: int
    kernels: str
    kernel_is_warning: bool
    needs: tuple[str, ...]
    binds_ports_everywhere: bool
    asks_runtime_config: bool
    oldest_etcd: tuple[int, int, int]


ROWS: tuple[PreflightRow, ...] = (
    PreflightRow(33, _KERNELS_33, False, (_V2, _V1), True, False, (3, 5, 11)),
    PreflightRow(34, _KERNELS_34, True, (_V2, _V1), True, False, (3, 5, 21)),
    PreflightRow(35, _KERNELS_34, True, (_V2_FROM_35,), True, True, (3, 5, 24)),
    PreflightRow(37, _KERNELS_34, True, (_V2_FROM_35,), False, True, (3, 5, 24)),
)
"""Sorted by minor."""


def row_of(version: Version) -> PreflightRow:
    """Return the row that holds for ``version``, which must be supported."""
    return next(row for row in reversed(ROWS) if has_reached(version, row.first_minor))


def is_known(name: str) -> bool:
    """Return whether a check of some supported kubeadm has this name; case does not matter."""
    folded = name.lower()
    return folded in (known.lower() for known in NAMES) or bool(_FROM_A_PATH.fullmatch(folded))
