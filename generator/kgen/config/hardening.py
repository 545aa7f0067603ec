"""``hardening: cis``: the cluster with everything that the table of checks switches on where the file says nothing.

The values become arguments, fields, files and kernel parameters of the cluster as if the user had written them. So
they are in kubeadm-config and kubelet-config, too, and ``kubeadm upgrade`` keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from kgen import resources
from kgen.config import kubelet_serving
from kgen.config.apiserver_files import with_parts
from kgen.config.effective import merged
from kgen.facts import apiserver_files as table
from kgen.facts import hardening, names, versions
from kgen.facts.apiserver_files import Row
from kgen.facts.hardening import Check, ConfigField, EncryptedSecrets, Flag, ServingCertificates, Setting, Sysctls
from kgen.facts.versions import Version
from kgen.model import Argument, Cluster, Machine, Volume

_HEAD = "# Written by kgen for `hardening: cis`. To have your own, name it at apiServer.{key} of the cluster file.\n"
_EVENTS = {"type": "Server", "qps": 5000, "burst": 20000}
"""More than a busy cluster makes, and less than keeps an API server from its work."""

_POD_LEVELS = {"enforce": "baseline", "enforce-version": "latest", "audit": "restricted", "audit-version": "latest"}


def hardened(cluster: Cluster, files: Sequence[tuple[Row, str]]) -> tuple[Cluster, list[tuple[Row, str]]]:
    """Return the cluster, and the files of its API servers: those that the user brings, and kgen's."""
    if cluster.hardening == "none":
        return cluster, list(files)
    server, manager, scheduler, etcd = (
        cluster.api_server,
        cluster.controller_manager,
        cluster.scheduler,
        cluster.etcd,
    )
    server_arguments = {argument.name for argument in server.extra_args}
    brought = {row.key for row, _ in files} | {row.key for row in table.ROWS if row.flag in server_arguments}
    checks = hardening.active(cluster.hardening_exceptions, brought)
    settings = [setting for check in checks for setting in check.settings]
    changed = replace(
        cluster,
        api_server=replace(server, extra_args=_arguments(server.extra_args, "apiServer", settings)),
        controller_manager=replace(manager, extra_args=_arguments(manager.extra_args, "controllerManager", settings)),
        scheduler=replace(scheduler, extra_args=_arguments(scheduler.extra_args, "scheduler", settings)),
        etcd=replace(etcd, extra_args=_arguments(etcd.extra_args, "etcd", settings)),
        kubelet=merged(_fields(settings, on_machines=False), cluster.kubelet),
        machines=tuple(_with_own(machine, cluster, settings) for machine in cluster.machines),
        pools=tuple(_with_own(machine, cluster, settings) for machine in cluster.pools),
    )
    if "audit-log-path" not in server_arguments and _has(settings, "audit-log-path"):
        log = str(table.AUDIT_LOG.parent)
        changed = with_parts(changed, (), (), [Volume(table.AUDIT_LOG_VOLUME, log, log, False, "DirectoryOrCreate")])
    if any(isinstance(setting, ServingCertificates) for setting in settings):
        changed = _with_serving_certificates(changed)
    return _encrypted(changed, settings, server_arguments), [*files, *_files(checks, cluster.kubernetes_version)]


def _has(settings: Iterable[Setting], flag: str) -> bool:
    return any(isinstance(setting, Flag) and setting.name == flag for setting in settings)


def _arguments(extra: Sequence[Argument], component: str, settings: Iterable[Setting]) -> tuple[Argument, ...]:
    """Return the extra arguments of a component, and those that it gets from kgen."""
    given = {argument.name for argument in extra}
    values: dict[str, str] = {}
    for setting in settings:
        if isinstance(setting, Flag) and setting.component == component and setting.value and setting.name not in given:
            before = f"{values[setting.name]}," if setting.is_item and setting.name in values else ""
            values[setting.name] = before + setting.value
    return (*extra, *(Argument(name, value) for name, value in values.items()))


def _fields(settings: Iterable[Setting], *, on_machines: bool) -> dict[str, Any]:
    """Return the fields of the kubelet with a value of kgen: all of them are at the top."""
    return {
        setting.path: list(setting.value) if isinstance(setting.value, tuple) else setting.value
        for setting in settings
        if isinstance(setting, ConfigField) and setting.value is not None and setting.on_machines == on_machines
    }


def _with_own(machine: Machine, cluster: Cluster, settings: Sequence[Setting]) -> Machine:
    """Return the machine with the fields and kernel parameters that only machines of the cluster file get."""
    fields = {key: value for key, value in _fields(settings, on_machines=True).items() if key not in cluster.kubelet}
    has_sysctls = any(isinstance(setting, Sysctls) for setting in settings)
    wanted: Mapping[str, str] = names.KUBELET_SYSCTLS if has_sysctls else {}
    return replace(machine, kubelet=merged(fields, machine.kubelet), sysctls={**wanted, **machine.sysctls})


def _with_serving_certificates(cluster: Cluster) -> Cluster:
    """Return the cluster whose API servers verify the kubelets, if every kubelet has a certificate for that.

    The cluster's own field is for machines that join with kubeadm: their kubelets ask for a certificate.
    """
    argument = kubelet_serving.VERIFY.name
    is_possible = not cluster.pools and all(machine.addresses for machine in cluster.machines)
    is_set = any(each.name == argument for each in cluster.api_server.extra_args)
    if cluster.pki.kubelet_serving_certificates or is_set or not is_possible:
        return cluster
    changed = replace(
        cluster,
        pki=replace(cluster.pki, kubelet_serving_certificates=True),
        kubelet={"serverTLSBootstrap": True, **cluster.kubelet},
    )
    return kubelet_serving.with_certificates(changed)


def _encrypted(cluster: Cluster, settings: Iterable[Setting], server_arguments: set[str]) -> Cluster:
    wanted = next((setting for setting in settings if isinstance(setting, EncryptedSecrets)), None)
    server = cluster.api_server
    if wanted is None or server.encryption.provider or table.ENCRYPTION_FLAG in server_arguments:
        return cluster
    encryption = replace(server.encryption, provider=wanted.providers[0])
    return replace(cluster, api_server=replace(server, encryption=encryption))


def _files(checks: Sequence[Check], version: Version) -> list[tuple[Row, str]]:
    """Return kgen's files of the API servers."""
    wanted = {
        setting.key for check in checks for setting in check.settings if isinstance(setting, hardening.ServerFile)
    }
    numbers = {check.number for check in checks}
    texts = {
        "auditPolicyFile": lambda row: resources.template_text("hardening/audit-policy.yaml"),
        "admissionControlConfigFile": lambda row: yaml.safe_dump(_admission(numbers), sort_keys=False),
        "authenticationConfig": lambda row: yaml.safe_dump(_authentication(row, version), sort_keys=False),
    }
    return [(row, _HEAD.format(key=row.key) + texts[row.key](row)) for row in table.ROWS if row.key in wanted]


def _admission(numbers: set[str]) -> dict[str, Any]:
    plugins = []
    if "1.2.9" in numbers:
        limits = {
            "apiVersion": "eventratelimit.admission.k8s.io/v1alpha1",
            "kind": "Configuration",
            "limits": [_EVENTS],
        }
        plugins.append({"name": "EventRateLimit", "configuration": limits})
    if "pod-security" in numbers:
        levels = {
            "apiVersion": "pod-security.admission.config.k8s.io/v1",
            "kind": "PodSecurityConfiguration",
            "defaults": _POD_LEVELS,
            "exemptions": {"namespaces": ["kube-system"]},
        }
        plugins.append({"name": "PodSecurity", "configuration": levels})
    return {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": plugins}


def _authentication(row: Row, version: Version) -> dict[str, Any]:
    known = [name for name, since in row.versions.items() if versions.has_reached(version, since)]
    conditions = [{"path": path} for path in table.ANONYMOUS_PATHS]
    return {
        "apiVersion": known[-1],
        "kind": row.kind,
        "anonymous": {"enabled": True, "conditions": conditions},
    }
