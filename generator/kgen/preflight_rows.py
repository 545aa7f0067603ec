"""What kubeadm's preflight asks of a machine, as far as it differs by Kubernetes minor.

Facts: the reports of the real ``kubeadm init phase preflight`` of v1.33.13, v1.34.4, v1.35.4, v1.36.3 and v1.37.2, with
an empty kernel config, either version of control groups, an old kernel and busy ports (docs/reference/preflight.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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
"""Names that ``ignorePreflightErrors`` may hold, kubeadm's of all minors and ours; beside those made from paths."""

_MADE = re.compile(r"port-\d+|(file|dir)available--.+|filecontent--proc-sys-.+|fileexisting-.+")

_OPTIONS = (
    "NET_NS PID_NS IPC_NS UTS_NS EXT4_FS NETFILTER_XT_TARGET_REDIRECT NETFILTER_XT_MATCH_COMMENT FAIR_GROUP_SCHED"
)
"""What kubeadm requires of the kernel, but for what follows from these or from the controllers that are there:

NAMESPACES, CGROUPS, CGROUP_SCHED, CPUSETS, MEMCG and CGROUP_PIDS; without PROC_FS and INET nothing could be asked;
IP_NF_TARGET_REDIRECT selects its successor.
"""

_V1 = "cpu cpuacct cpuset devices freezer memory pids " + _OPTIONS
_V2 = "cpu cpuset memory pids " + _OPTIONS
_V2_FROM_35 = _V2 + " CGROUP_BPF"
_KERNELS_33 = r"4\.(19|[2-9]\d)\b|[5-9]\.|\d\d"
_KERNELS_34 = r"5\.(4|10|15)\b|[6-9]\.|\d\d"


@dataclass(frozen=True, slots=True)
class PreflightRow:
    """The rules from ``first_minor`` on, until the next row.

    ``kernels`` is a pattern for the beginning of the release, ``kernel_is_warning`` its severity. ``needs`` are control
    groups' controllers and kernel options, with control groups v2 and, where kubeadm does not refuse it, v1.
    ``binds_ports_everywhere`` says whether a port must be free at every address or where its program will listen,
    ``asks_runtime_config`` whether a container runtime without that method is warned of.
    """

    first_minor: int
    kernels: str
    kernel_is_warning: bool
    needs: tuple[str, ...]
    binds_ports_everywhere: bool
    asks_runtime_config: bool


ROWS: tuple[PreflightRow, ...] = (
    PreflightRow(33, _KERNELS_33, False, (_V2, _V1), True, False),
    PreflightRow(34, _KERNELS_34, True, (_V2, _V1), True, False),
    PreflightRow(35, _KERNELS_34, True, (_V2_FROM_35,), True, True),
    PreflightRow(37, _KERNELS_34, True, (_V2_FROM_35,), False, True),
)
"""Sorted by minor."""


def row_of(minor: int) -> PreflightRow:
    """Return the row that holds for v1.``minor``, which must be supported."""
    return next(row for row in reversed(ROWS) if row.first_minor <= minor)


def is_known(name: str) -> bool:
    """Return whether some check has, or had in an older kubeadm, this name; case does not matter."""
    folded = name.lower()
    return folded in (known.lower() for known in NAMES) or bool(_MADE.fullmatch(folded))
