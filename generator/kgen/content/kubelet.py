"""The kubelet's files: its configuration, the configuration of this machine only, and its arguments.

Facts: what ``kubeadm init --dry-run`` prints for ``/var/lib/kubelet``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kgen import engine
from kgen.config.components import KUBELET
from kgen.config.effective import merged
from kgen.config.typed import field_path
from kgen.content import component_config, flags, images, own_values, patches
from kgen.errors import Problem, ProblemsError
from kgen.facts import names, programs, versions
from kgen.facts.labels import kubelet_may_set
from kgen.facts.versions import Version
from kgen.model import Argument, Cluster, Machine, Patch

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
"""Fields that kubeadm writes with the value zero, which means the kubelet's own default."""


_TARGET = "kubeletconfiguration"


def configuration(cluster: Cluster, own: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the KubeletConfiguration of the cluster, as in ConfigMap ``kube-system/kubelet-config``.

    With ``own``, return that of a machine with these fields.
    """
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
    fields = merged(cluster.kubelet, own or {})
    return {**component_config.overlay(defaults, fields, KUBELET), "rotateCertificates": True}


def machine_configuration(cluster: Cluster, machine: Machine) -> dict[str, Any]:
    """Return the KubeletConfiguration of a machine: its own fields over the cluster's, patched as kubeadm does there.

    Raises:
        ProblemsError: a patch cannot be applied, or the kubelet refuses what it makes.
    """
    whole = patches.patched(cluster, _TARGET, configuration(cluster, machine.kubelet), machine)
    applied = patches.of(cluster, machine, _TARGET)
    if applied:
        _check(cluster.kubernetes_version, whole, applied[-1])
    return whole


def _check(version: Version, patched: dict[str, Any], last: Patch) -> None:
    """Refuse a patched configuration for what the kubelet would refuse, at its last patch."""
    from kgen.config import gate_checks, kubelet_checks  # few clusters have such a patch
    from kgen.config.effective import Configuration

    if not versions.is_known_patch(version):
        return
    config = Configuration(patched, "KubeletConfiguration", "kubelet", programs.of(version))
    found = [(wrong.path, wrong.message, wrong.hint) for wrong in kubelet_checks.check(config)]
    gates = gate_checks.check(config.gates, config.given_gates, "kubelet")
    found += [(("featureGates", name), message, hint) for name, message, hint in gates]
    if found:
        raise ProblemsError(
            Problem(last.file, last.line, last.column, field_path(path), "K364", f"kubelet refuses it: {message}", hint)
            for path, message, hint in found
        )


def leaves_resolv_conf_open(cluster: Cluster, machine: Machine) -> bool:
    """Return whether neither the cluster file nor a patch sets ``resolvConf`` of the machine."""
    if not patches.of(cluster, machine, _TARGET):
        return "resolvConf" not in cluster.kubelet and "resolvConf" not in machine.kubelet
    return "resolvConf" not in machine_configuration(cluster, machine)


def config_yaml(cluster: Cluster, machine: Machine) -> str:
    """Return the text of ``config.yaml`` of a machine."""
    socket = machine.registration.cri_socket
    own = {"containerRuntimeEndpoint": socket} if versions.has_instance_config(cluster.kubernetes_version) else {}
    return engine.to_yaml({**machine_configuration(cluster, machine), **own})


def instance_config(machine: Machine) -> str:
    """Return ``instance-config.yaml``, which ``kubeadm upgrade`` merges over the cluster's configuration."""
    own = engine.to_yaml(dict(machine.kubelet)) if machine.kubelet else ""
    return f"containerRuntimeEndpoint: {engine.scalar(machine.registration.cri_socket)}\n{own}"


def flags_env(cluster: Cluster, machine: Machine) -> str:
    """Return ``kubeadm-flags.env``: kubeadm's arguments, and the labels, taints and address of this machine's Node."""
    extra = machine.registration.kubelet_extra_args
    given = {argument.name for argument in extra}
    own = [Argument(name, value) for name, value in own_arguments(cluster, machine).items() if name not in given]
    arguments = flags.join(_defaults(cluster, machine), [*own, *extra])
    quoted = " ".join(arguments).replace("\\", "\\\\").replace('"', '\\"')
    return f'KUBELET_KUBEADM_ARGS="{quoted}"\n'


def _defaults(cluster: Cluster, machine: Machine) -> dict[str, str]:
    version = cluster.kubernetes_version
    defaults = {}
    if not versions.has_instance_config(version):
        defaults["container-runtime-endpoint"] = machine.registration.cri_socket
    if versions.tells_kubelet_the_pause_image(version):
        defaults["pod-infra-container-image"] = images.pause(cluster)
    if machine.role == "node" and machine.taints:  # the taints of masters are set through the API, as kubeadm does
        defaults["register-with-taints"] = flags.comma_list(machine.taints)
    return defaults


def own_arguments(cluster: Cluster, machine: Machine) -> dict[str, str]:
    """Return the arguments for which kubeadm has no field: the machine's name, address and labels.

    For kubeadm they are extra arguments, so they stand behind its defaults.
    """
    own = {}
    if not cluster.set_hostname and not machine.is_pool:
        own["hostname-override"] = machine.name
    if machine.addresses:
        own["node-ip"] = flags.comma_list(machine.addresses)
    labels = [
        f"{key}={own_values.for_label(value)}" for key, value in sorted(machine.labels.items()) if kubelet_may_set(key)
    ]
    if labels:
        own["node-labels"] = flags.comma_list(labels)
    return own
