"""Draws configurations of the kubelet and of kube-proxy at random: good values, and values outside of the limits."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from kgen.config import kubelet_checks, proxy_checks

_DURATIONS = ("-1s", "0s", "1ms", "500ms", "1s", "3s", "10s", "3m", "400s", "5h")
_BY_TYPE: Mapping[str, tuple[Any, ...]] = {
    "bool": (True, False),
    "int32": (-1, 0, 1, 5, 100, 2**31, "1"),
    "int64": (-1, 0, 1, 2**31),
    "uint32": (0, 3, 2**31, -1),
    "float32": (0, 0.5, 7, "x"),
    "float64": (-0.1, 0, 0.5, 0.9, 1, 1.5),
    "duration": (*_DURATIONS, "1d"),
    "duration-or-int": (*_DURATIONS, 0, 10**9),
    "quantity": ("0", "1Mi", 5),
    "string": ("", "x", 7),
}
_SIGNALS = ("memory.available", "nodefs.available", "imagefs.inodesFree", "memory.left")
_THRESHOLDS = ("100Mi", "5%", "0%", "100%", "101%", "-1Gi", "0", "x")
_EVICTIONS = tuple({signal: value} for signal in _SIGNALS for value in _THRESHOLDS)
_NETWORKS = ("10.0.0.0/8", "fd00::/64", "10.0.0.0", "10.0.0.0/33", "primary", "all")
_ADDRESSES = ("0.0.0.0", "::", "127.0.0.1:10249", "[::1]:10249", "[::1]", "localhost:1", "1.2.3.4:0", "1.2.3.4:65536")
_ENFORCED = ("pods", "none", "kube-reserved", "system-reserved", "kube-reserved-compressible", "pod")
_MODULES = ([], [{"filePattern": "a", "verbosity": 2}], [{"filePattern": "", "verbosity": 2}], [{"filePattern": "a=b"}])
KUBELET: Mapping[str, tuple[Any, ...]] = {
    "authorization.mode": ("Webhook", "AlwaysAllow"),
    "cpuManagerPolicy": ("none",),
    "cpuManagerPolicyOptions": ({}, {"full-pcpus-only": "true"}),
    "containerLogMaxSize": ("10Mi", "1Gi"),
    "defaultPodSysctls": ({"net.core.somaxconn": "1"}, {"kernel.shmmax": "1"}, {"vm.swappiness": "1"}, {"A": "1"}),
    "enforceNodeAllocatable": (*([one] for one in _ENFORCED), *(["pods", one] for one in _ENFORCED)),
    "evictionHard": _EVICTIONS,
    "evictionMinimumReclaim": _EVICTIONS,
    "evictionSoft": _EVICTIONS,
    "evictionSoftGracePeriod": tuple({signal: value} for signal in _SIGNALS for value in ("1m", "-1s", "x")),
    "failCgroupV1": (),
    "featureGates": (
        {"AllAlpha": True},
        {"AllBeta": False},
        {"GracefulNodeShutdown": False},
        {"CustomCPUCFSQuotaPeriod": True},
        {"DefaultPodSysctls": True},
        {"KubeletCrashLoopBackOffMax": False},
        {"LoggingAlphaOptions": True},
        {"MemoryQoS": True},
    ),
    "hairpinMode": ("hairpin-veth", "none", "hairpin"),
    "imagePullCredentialsVerificationPolicy": ("NeverVerify", "AlwaysVerify", "NeverVerifyAllowlistedImages"),
    "kubeReserved": ({"cpu": "1"}, {"memory": "1Gi"}),
    "kubeReservedCgroup": ("/kube.slice",),
    "logging.format": ("text", "json", "xml"),
    "logging.vmodule": _MODULES,
    "memoryManagerPolicy": ("None",),
    "memoryReservationPolicy": ("None", "TieredReservation", "Some"),
    "memorySwap.swapBehavior": ("NoSwap", "LimitedSwap", "Swap"),
    "podLogsDir": ("/var/log/pods", "logs", "/var/../log", "/var/log/", "/vär"),
    "preloadedImagesVerificationAllowlist": (["example.com/a"],),
    "qosReserved": ({"memory": "50%"}, {"memory": "101%"}, {"cpu": "5%"}, {"memory": "5"}),
    "registerWithTaints": (),
    "reservedMemory": (
        [{"numaNode": 0, "limits": {"memory": "1Gi"}}],
        [{"numaNode": 0, "limits": {"memory": "0"}}],
        [{"numaNode": 0, "limits": {"cpu": "1"}}],
        [{"numaNode": 1, "limits": {"hugepages-2Mi": "1Gi"}}, {"numaNode": 1, "limits": {"hugepages-2Mi": "1Gi"}}],
    ),
    "reservedSystemCPUs": ("0", "0-1,4", "4-1", "x", "0,"),
    "showHiddenMetricsForVersion": (),
    "singleProcessOOMKill": (True,),
    "systemReservedCgroup": ("/system.slice",),
    "tlsCipherSuites": (["TLS_AES_128_GCM_SHA256"], ["TLS_RSA_WITH_RC4_128"]),
    "tlsCurvePreferences": ([23],),
    "tlsMinVersion": ("VersionTLS12", "VersionTLS13", "TLS13"),
    "topologyManagerPolicy": ("none", "restricted", "strict"),
    "topologyManagerPolicyOptions": ({"prefer-closest-numa-nodes": "true"}, {"nearest": "true"}),
    "topologyManagerScope": ("container", "pod", "node"),
    "tracing.endpoint": ("localhost:4317", "dns://host:1", "http://host:1"),
    "userNamespaces.idsPerPod": (0, 65536, 65537, 131072, 2**32, 2**33),
}
KUBE_PROXY: Mapping[str, tuple[Any, ...]] = {
    "bindAddress": _ADDRESSES,
    "clusterCIDR": (*_NETWORKS, "10.0.0.0/8,fd00::/64", "10.0.0.0/8,11.0.0.0/8", "10.0.0.0/8,fd00::/64,fd01::/64"),
    "detectLocal.bridgeInterface": ("", "br0"),
    "detectLocal.interfaceNamePrefix": ("", "veth"),
    "detectLocalMode": ("", "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix", "Cluster"),
    "featureGates": ({"AllAlpha": True}, {"AllBeta": False}, {"LoggingAlphaOptions": True}, {"KubeProxyIPVS": False}),
    "healthzBindAddress": _ADDRESSES,
    "ipvs.excludeCIDRs": tuple([network] for network in _NETWORKS),
    "logging.format": ("text", "json", "xml"),
    "logging.vmodule": _MODULES,
    "metricsBindAddress": _ADDRESSES,
    "mode": ("", "iptables", "ipvs", "nftables", "userspace"),
    "nodePortAddresses": (
        *([network] for network in _NETWORKS),
        *([keyword, "10.0.0.0/8"] for keyword in ("primary", "localhost", "all")),
        ["all", "all"],
        ["10.0.0.0/8", "primary"],
        [],
    ),
    "showHiddenMetricsForVersion": (),
}
"""Values of fields that need other ones than those of their type; a field without any is not drawn."""


def configurations(
    kind: str, types: Mapping[str, Mapping[str, str]], given: Mapping[str, tuple[Any, ...]], count: int, seed: int
) -> list[dict[str, Any]]:
    """Return ``count`` configurations of one to six fields."""
    source = random.Random(seed)
    limits = kubelet_checks.RANGES if kind == "KubeletConfiguration" else proxy_checks.RANGES
    pool = {path: values for path, values in _pool(kind, types, given, limits).items() if values}
    found = []
    for _ in range(count):
        document: dict[str, Any] = {}
        for path in source.sample(sorted(pool), source.randint(1, 6)):
            *above, name = path.split(".")
            holder = document
            for key in above:
                holder = holder.setdefault(key, {})
            holder[name] = source.choice(pool[path])
        found.append(document)
    return found


def _pool(
    kind: str,
    types: Mapping[str, Mapping[str, str]],
    given: Mapping[str, tuple[Any, ...]],
    limits: Mapping[str, tuple[float, float]],
    above: str = "",
) -> dict[str, tuple[Any, ...]]:
    pool: dict[str, tuple[Any, ...]] = {}
    for name, notation in types[kind].items():
        path, bare = f"{above}{name}", notation.removeprefix("*")
        if path in ("apiVersion", "kind"):
            continue
        if bare in types:
            pool |= _pool(bare, types, given, limits, f"{path}.")
        elif path in given:
            pool[path] = given[path]
        elif bare in _BY_TYPE:
            low, high = limits.get(path, (0, 100))
            edges = [edge for edge in (low - 1, low, high, high + 1) if abs(edge) < 2**31] if "int" in bare else []
            pool[path] = (*_BY_TYPE[bare], *edges)
    return pool
