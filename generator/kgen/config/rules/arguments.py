"""Which extra arguments are kgen's to set, which are gone, and which say what a field says.

An extra argument overrides kubeadm's default, as in kubeadm. Refused are only those that name the bundle's files or
the cluster's identity. Flags that are gone were tried on the binaries of v1.37.2 and etcd 3.7.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kgen.config.objects import Draft
from kgen.config.report import Report
from kgen.config.rules.facts import Facts

_CONTROL_PLANE = ("apiServer", "controllerManager", "scheduler")
_ALL = (*_CONTROL_PLANE, "etcd", "kubelet")
_BUNDLE = "remove it: keys and certificates come from the secrets bundle"
_FOLLOWS = "remove it: it follows from the masters of this file"


@dataclass(frozen=True)
class Row:
    """Arguments of some components by name, ``*`` for any characters, and what to do instead."""

    components: tuple[str, ...]
    pattern: str
    hint: str

    def matches(self, component: str, name: str) -> bool:
        """Return whether the row is about this argument."""
        return component in self.components and fnmatchcase(name, self.pattern)


OWN_FILES = (("apiServer", "oidc-ca-file"),)
"""Arguments that look like those of the bundle's files, but name files of the user."""

RESERVED = (
    Row(("apiServer",), "tls-cert-file", "remove it: more names for the certificate go to apiServer.certSANs"),
    Row(("apiServer",), "kubelet-client-certificate", _BUNDLE),
    Row(("apiServer",), "kubelet-client-key", _BUNDLE),
    Row(("kubelet",), "tls-cert-file", "use tlsCertFile below `kubelet:`"),
    Row(("kubelet",), "tls-private-key-file", "use tlsPrivateKeyFile below `kubelet:`"),
    Row(_ALL, "*-ca-file", _BUNDLE),
    Row(_ALL, "*-cafile", _BUNDLE),
    Row(_ALL, "*-cert-file", _BUNDLE),
    Row(_ALL, "*-certfile", _BUNDLE),
    Row(_ALL, "*-key-file", _BUNDLE),
    Row(_ALL, "*-keyfile", _BUNDLE),
    Row(_ALL, "*kubeconfig", "remove it: kubeconfigs come from the secrets bundle"),
    Row(("etcd",), "cert-file", _BUNDLE),
    Row(("etcd",), "key-file", _BUNDLE),
    Row(("etcd",), "name", "use `name:` of the machine"),
    Row(("etcd",), "data-dir", "use etcd.local.dataDir"),
    Row(("etcd",), "initial-*", _FOLLOWS),
    Row(("etcd",), "config-file", "use arguments: with a file etcd ignores all others"),
    Row(("kubelet",), "hostname-override", "use `name:` of the machine"),
    Row(("kubelet",), "node-ip", "use `address:` of the machine"),
    Row(("kubelet",), "node-labels", "use `labels:` of the machine or pool"),
    Row(("kubelet",), "register-with-taints", "use `taints:` of the machine or pool"),
    Row(("kubelet",), "container-runtime-endpoint", "use nodeRegistration.criSocket"),
    Row(("kubelet",), "config", "use `kubelet:` for fields of KubeletConfiguration"),
    Row(("kubelet",), "config-dir", "use `kubelet:` for fields of KubeletConfiguration"),
    Row(("kubelet",), "pod-manifest-path", "remove it: the runner puts the manifests into /etc/kubernetes/manifests"),
    Row(("kubelet",), "root-dir", "remove it: the kubelet's files are in /var/lib/kubelet"),
    Row(("kubelet",), "cert-dir", "remove it: the kubelet's certificates are in /var/lib/kubelet/pki"),
)
"""The first row that matches decides."""

_DROP = "remove it"
GONE = (
    Row(("apiServer",), "insecure-port", _DROP),
    Row(("apiServer",), "insecure-bind-address", _DROP),
    Row(_CONTROL_PLANE, "address", "use bind-address"),
    Row(_CONTROL_PLANE, "port", "use secure-port"),
    Row(("apiServer",), "service-account-api-audiences", "use api-audiences"),
    Row(("apiServer",), "cloud-provider", _DROP),
    Row(("apiServer",), "cloud-config", _DROP),
    Row(("controllerManager",), "experimental-cluster-signing-duration", "use cluster-signing-duration"),
    Row(("controllerManager",), "concurrent-service-syncs", _DROP),
    Row(("kubelet",), "network-plugin", _DROP),
    Row(("kubelet",), "cni-*", _DROP),
    Row(("kubelet",), "docker-*", _DROP),
    Row(("kubelet",), "non-masquerade-cidr", _DROP),
    Row(("kubelet",), "container-runtime", _DROP),
    Row(("kubelet",), "master-service-namespace", _DROP),
    Row(("kubelet",), "keep-terminated-pod-volumes", _DROP),
    Row(("kubelet",), "runonce", _DROP),
    Row(("kubelet",), "register-schedulable", "use `taints:`"),
    Row(("kubelet",), "cloud-config", _DROP),
    Row(("kubelet",), "pod-infra-container-image", "set the sandbox image in containerd's configuration"),
)
"""Flags of older releases: with one of them the program does not start."""

FIELDS = (
    Row(("apiServer",), "advertise-address", "`address:` of the machine"),
    Row(("apiServer",), "secure-port", "localAPIEndpoint.bindPort"),
    Row(("apiServer", "controllerManager"), "service-cluster-ip-range", "networking.serviceSubnet"),
    Row(("controllerManager",), "cluster-cidr", "networking.podSubnet"),
    Row(("controllerManager",), "cluster-name", "clusterName"),
)
"""Arguments that override only one of the places that a field sets."""


def arguments(facts: Facts, report: Report) -> None:
    """Refuse what is kgen's or gone, warn about what a field says better."""
    for component, argument in _arguments(facts):
        name = argument.get("name")
        if name is None or (component, name) in OWN_FILES:
            continue
        place = argument.at("name")
        reserved = _first(RESERVED, component, name)
        gone = _first(GONE, component, name)
        field = _first(FIELDS, component, name)
        if reserved:
            report.error(place, "K317", f"{name} is set by kgen", reserved.hint)
        elif gone:
            report.error(place, "K318", f"{name} is gone: the program would not start", gone.hint)
        elif field:
            message = f"{name} is overridden here only; the rest of the cluster follows its field"
            report.warn(place, "K903", message, f"use {field.hint}")
    _experimental_etcd(facts, report)


def _first(rows: tuple[Row, ...], component: str, name: str) -> Row | None:
    return next((row for row in rows if row.matches(component, name)), None)


def _arguments(facts: Facts) -> Iterator[tuple[str, Draft]]:
    for component in _CONTROL_PLANE:
        for argument in facts.root.section(component).drafts("extraArgs"):
            yield component, argument
    for argument in facts.root.section("etcd").section("local").drafts("extraArgs"):
        yield "etcd", argument
    for holder in (facts.root, *facts.documents):
        if holder.is_given("nodeRegistration"):
            for argument in holder.section("nodeRegistration").drafts("kubeletExtraArgs"):
                yield "kubelet", argument


def _experimental_etcd(facts: Facts, report: Report) -> None:
    local = facts.root.section("etcd").section("local")
    if local.is_given("imageTag"):
        return
    for argument in local.drafts("extraArgs"):
        name = argument.get("name") or ""
        if name.startswith("experimental-"):
            hint = f"use {name.removeprefix('experimental-')}, or feature-gates"
            report.error(argument.at("name"), "K318", f"{name} is gone: etcd 3.7 would not start", hint)
