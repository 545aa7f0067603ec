"""Translates a cluster file into kubeadm's configuration. It shares no code with kgen, which it helps to check."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent / "cases"
"""The cluster files of the cases. Paths in a cluster file are relative to this directory."""

TOKENS = ("first0.0123456789abcdef", "second.0123456789abcdef")
"""The bootstrap tokens of every case, the same for kgen and kubeadm."""

_SAME = (
    "kubernetesVersion",
    "controlPlaneEndpoint",
    "networking",
    "apiServer",
    "controllerManager",
    "scheduler",
    "etcd",
    "dns",
    "proxy",
    "imageRepository",
    "certificateValidityPeriod",
    "caCertificateValidityPeriod",
    "featureGates",
)
_COMPONENT_CONFIGS = {
    "kubelet": ("kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"),
    "kubeProxy": ("kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration"),
}
_ETCD_FILES = {
    "caFile": "/etc/kubernetes/pki/etcd/ca.crt",
    "certFile": "/etc/kubernetes/pki/apiserver-etcd-client.crt",
    "keyFile": "/etc/kubernetes/pki/apiserver-etcd-client.key",
}
_PROXY_VARIABLES = {"httpProxy": "HTTP_PROXY", "httpsProxy": "HTTPS_PROXY", "noProxy": "NO_PROXY"}


def kubeadm_config(cluster: Mapping[str, Any], machine: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the documents for ``kubeadm init --config`` on a master of ``cluster``, a parsed cluster file."""
    api = {"apiVersion": "kubeadm.k8s.io/v1beta4"}
    settings = cluster.get("bootstrapTokens") or [{}]
    tokens = TOKENS[: len(settings)]
    addresses = machine["address"]
    endpoint = {**cluster.get("localAPIEndpoint", {}), **machine.get("localAPIEndpoint", {})}
    registration = {**cluster.get("nodeRegistration", {}), **machine.get("nodeRegistration", {})}
    if "taints" in machine:
        registration["taints"] = machine["taints"]
    init = {
        **api,
        "kind": "InitConfiguration",
        "bootstrapTokens": [{**entry, "token": token} for entry, token in zip(settings, tokens, strict=True)],
        "localAPIEndpoint": {
            **endpoint,
            "advertiseAddress": addresses if isinstance(addresses, str) else addresses[0],
        },
        "nodeRegistration": {
            "criSocket": "unix:///var/run/containerd/containerd.sock",
            **registration,
            "name": machine["name"],
        },
        "timeouts": cluster.get("timeouts", {}),
    }
    if "skipPhases" in cluster:
        init["skipPhases"] = cluster["skipPhases"]
    if "patches" in cluster:
        init["patches"] = {"directory": str(CASES / cluster["patches"]["directory"])}
    configuration = {
        **api,
        "kind": "ClusterConfiguration",
        "clusterName": cluster.get("clusterName", cluster["name"]),
        "encryptionAlgorithm": cluster.get("encryptionAlgorithm", "ECDSA-P256"),
        **{key: cluster[key] for key in _SAME if key in cluster},
    }
    if configuration.get("networking", {}).get("plugin") == "bridge":  # the ranges of pods are given out elsewhere
        manager = configuration.get("controllerManager", {})
        arguments = [*manager.get("extraArgs", []), {"name": "allocate-node-cidrs", "value": "false"}]
        configuration["controllerManager"] = {**manager, "extraArgs": arguments}
        configuration["networking"] = {k: v for k, v in configuration["networking"].items() if k != "plugin"}
    if "external" in configuration.get("etcd", {}):  # kubeadm names the files on the masters
        external = configuration["etcd"]["external"]
        configuration["etcd"] = {"external": {key: _ETCD_FILES.get(key, external[key]) for key in external}}
    components = [
        {"apiVersion": version, "kind": kind, **cluster[key]}
        for key, (version, kind) in _COMPONENT_CONFIGS.items()
        if key in cluster
    ]
    return [init, configuration, *components]


def environment(cluster: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that kubeadm copies into its static pods."""
    proxies = cluster.get("httpProxy", {})
    return {_PROXY_VARIABLES[key]: value for key, value in proxies.items()}
