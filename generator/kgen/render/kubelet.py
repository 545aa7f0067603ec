"""The kubelet's files: its configuration, the part that is the machine's own, and its arguments.

Facts: what ``kubeadm init --dry-run`` prints for ``/var/lib/kubelet``.
"""

from __future__ import annotations

from typing import Any

from kgen import names, versions
from kgen.config.labels import kubelet_may_set
from kgen.config.model import Cluster, Machine
from kgen.render import component_config, engine, flags, images, patches

_ZERO_DURATIONS = (
    "cpuManagerReconcilePeriod",
    "evictionPressureTransitionPeriod",
    "fileCheckFrequency",
    "httpCheckFrequency",
    "imageMaximumGCAge",
    "imageMinimumGCAge",
    "nodeStatusReportFrequency",
    "nodeStatusUpdateFrequency",
    "runtimeRequestTimeout",
    "shutdownGracePeriod",
    "shutdownGracePeriodCriticalPods",
    "streamingConnectionIdleTimeout",
    "syncFrequency",
    "volumeStatsAggPeriod",
)
"""Fields that kubeadm writes although it does not set them; zero leaves them to the kubelet."""

_OMITTED_ZEROS = frozenset(
    {
        "enableContentionProfiling",
        "eventBurst",
        "evictionMaxPodGracePeriod",
        "kernelMemcgNotification",
        "kubeAPIBurst",
        "maxOpenFiles",
        "maxPods",
        "nodeLeaseDurationSeconds",
        "podsPerCore",
        "port",
        "protectKernelDefaults",
        "readOnlyPort",
        "registryBurst",
        "runOnce",
        "serverTLSBootstrap",
    }
)
"""Fields that kubeadm leaves out when the user sets them to zero or false: for them that is the same."""


def configuration(cluster: Cluster) -> dict[str, Any]:
    """Return the KubeletConfiguration of the whole cluster, as ``kube-system/kubelet-config`` holds it."""
    defaults: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"cacheTTL": "0s", "enabled": True},
            "x509": {"clientCAFile": str(names.PKI_DIR / "ca.crt")},
        },
        "authorization": {"mode": "Webhook", "webhook": {"cacheAuthorizedTTL": "0s", "cacheUnauthorizedTTL": "0s"}},
        "cgroupDriver": "systemd",
        "clusterDNS": [str(cluster.dns_address)],
        "clusterDomain": cluster.networking.dns_domain,
        "containerRuntimeEndpoint": "",
        "crashLoopBackOff": {},
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": names.KUBELET_HEALTHZ_PORT,
        "logging": component_config.LOGGING,
        "memorySwap": {},
        "staticPodPath": str(names.MANIFESTS_DIR),
        **dict.fromkeys(_ZERO_DURATIONS, "0s"),
    }
    user = {name: value for name, value in cluster.kubelet.items() if value or name not in _OMITTED_ZEROS}
    return {**component_config.overlay(defaults, user), "rotateCertificates": True}


def machine_configuration(cluster: Cluster) -> dict[str, Any]:
    """Return the KubeletConfiguration that machines get: the cluster's, patched, which kubeadm does on each machine.

    Raises:
        ProblemsError: a patch cannot be applied.
    """
    return patches.patched(cluster, "kubeletconfiguration", configuration(cluster))


def leaves_resolv_conf_open(cluster: Cluster) -> bool:
    """Return whether neither the cluster file nor a patch says ``resolvConf``; asked for every machine."""
    if not patches.is_patched(cluster, "kubeletconfiguration"):
        return "resolvConf" not in cluster.kubelet
    return "resolvConf" not in machine_configuration(cluster)


def config_yaml(cluster: Cluster, cri_socket: str) -> str:
    """Return ``config.yaml`` of a machine with this CRI socket."""
    own = {"containerRuntimeEndpoint": cri_socket} if versions.has_instance_config(cluster.kubernetes_version) else {}
    return engine.to_yaml({**machine_configuration(cluster), **own})


def instance_config(cri_socket: str) -> str:
    """Return ``instance-config.yaml``, which ``kubeadm upgrade`` merges over the cluster's configuration."""
    return f"containerRuntimeEndpoint: {engine.scalar(cri_socket)}\n"


def flags_env(cluster: Cluster, machine: Machine) -> str:
    """Return ``kubeadm-flags.env``: kubeadm's arguments, and what the cluster file says about this machine's Node."""
    arguments = flags.join(_defaults(cluster, machine), machine.registration.kubelet_extra_args)
    quoted = " ".join(arguments).replace("\\", "\\\\").replace('"', '\\"')
    return f'KUBELET_KUBEADM_ARGS="{quoted}"\n'


def _defaults(cluster: Cluster, machine: Machine) -> dict[str, str]:
    version = cluster.kubernetes_version
    defaults = {}
    if not versions.has_instance_config(version):
        defaults["container-runtime-endpoint"] = machine.registration.cri_socket
    if versions.tells_kubelet_the_pause_image(version):
        defaults["pod-infra-container-image"] = images.pause(cluster)
    if not cluster.set_hostname and not machine.is_pool:
        defaults["hostname-override"] = machine.name
    if machine.addresses:
        defaults["node-ip"] = flags.comma_list(machine.addresses)
    labels = [f"{key}={value}" for key, value in sorted(machine.labels.items()) if kubelet_may_set(key)]
    if labels:
        defaults["node-labels"] = flags.comma_list(labels)
    if machine.role == "node" and machine.taints:  # masters get theirs through the API, as in kubeadm
        defaults["register-with-taints"] = flags.comma_list(machine.taints)
    return defaults
