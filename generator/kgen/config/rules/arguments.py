"""Which extra arguments are kgen's to set, which are gone, and which say what a field says.

An extra argument overrides kubeadm's default, as in kubeadm. Refused are only those that name the bundle's files or
the cluster's identity. Flags that are gone were tried on the binaries of v1.37.2 and etcd 3.7.0; since when they are
is in the release notes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kgen import versions
from kgen.config.objects import Draft
from kgen.config.report import Report
from kgen.config.rules.facts import Facts

_CONTROL_PLANE = ("apiServer", "controllerManager", "scheduler")
_ALL = (*_CONTROL_PLANE, "etcd", "kubelet")
_BUNDLE = "remove it: keys and certificates come from the secrets bundle"
_FOLLOWS = "remove it: it follows from the masters of this file"


@dataclass(frozen=True)
class Row:
    """Arguments of some components by name, ``*`` for any characters, and what to do instead.

    ``since`` is the minor from which on the row holds; 0: in every one.
    """

    components: tuple[str, ...]
    pattern: str
    hint: str
    since: int = 0

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
_CADVISOR = (
    "application-metrics-count-limit",
    "boot-id-file",
    "container-hints",
    "containerd",
    "containerd-namespace",
    "enable-load-reader",
    "event-storage-*",
    "global-housekeeping-interval",
    "log-cadvisor-usage",
    "machine-id-file",
    "storage-driver-*",
)
GONE = (
    Row(("apiServer",), "insecure-port", _DROP),
    Row(("apiServer",), "insecure-bind-address", _DROP),
    Row(_CONTROL_PLANE, "address", "use bind-address"),
    Row(_CONTROL_PLANE, "port", "use secure-port"),
    Row(("apiServer",), "service-account-api-audiences", "use api-audiences"),
    Row(("apiServer",), "cloud-provider", _DROP),
    Row(("apiServer",), "cloud-config", _DROP),
    Row(("controllerManager",), "experimental-cluster-signing-duration", "use cluster-signing-duration"),
    Row(("controllerManager",), "concurrent-service-syncs", _DROP, since=37),
    Row(("kubelet",), "network-plugin", _DROP),
    Row(("kubelet",), "cni-*", _DROP),
    Row(("kubelet",), "docker-*", _DROP),
    Row(("kubelet",), "non-masquerade-cidr", _DROP),
    Row(("kubelet",), "container-runtime", _DROP),
    Row(("kubelet",), "master-service-namespace", _DROP),
    Row(("kubelet",), "keep-terminated-pod-volumes", _DROP),
    Row(("kubelet",), "runonce", _DROP),
    Row(("kubelet",), "register-schedulable", "use `taints:`", since=34),
    Row(("kubelet",), "cloud-config", _DROP, since=34),
    Row(("kubelet",), "pod-infra-container-image", "set the sandbox image in containerd's configuration", since=35),
    *(Row(("kubelet",), pattern, _DROP, since=37) for pattern in _CADVISOR),
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
        gone = _first(_gone(facts), component, name)
        field = _first(FIELDS, component, name)
        if reserved:
            report.error(place, "K317", f"{name} is set by kgen", reserved.hint)
        elif gone:
            report.error(place, "K318", f"{name} is gone: the program would not start", gone.hint)
        elif field:
            message = f"{name} is overridden here only; the rest of the cluster follows its field"
            report.warn(place, "K903", message, f"use {field.hint}")
    _etcd_of_another_time(facts, report)


def _gone(facts: Facts) -> tuple[Row, ...]:
    """Return the rows that hold in the file's version; where it could not be read, those of every version."""
    version = facts.version
    return tuple(row for row in GONE if not row.since or (version and versions.has_reached(version, row.since)))


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


_NEW_IN_ETCD_3_6 = ("feature-gates", "watch-progress-notify-interval")


def _etcd_of_another_time(facts: Facts, report: Report) -> None:
    """Refuse experimental flags where etcd has no such any more, and their successors where it has them not yet."""
    local = facts.root.section("etcd").section("local")
    tag = local.get("imageTag") or ""
    etcd = versions.etcd_version(facts.version, tag) if facts.version else None
    if etcd is None or facts.version is None:
        return
    number = f"etcd {etcd[0]}.{etcd[1]}"
    is_experimental = versions.etcd_flags_are_experimental(facts.version, tag)
    if (is_experimental and etcd[:2] >= (3, 7)) or (not is_experimental and etcd[:2] < (3, 6)):
        hint = f"remove it, or use one nearer to {versions.release_of(facts.version).etcd}"
        report.error(local.at("imageTag"), "K327", f"{facts.version} gives {number} flags it does not take", hint)
    for argument in local.drafts("extraArgs"):
        name, place = argument.get("name") or "", argument.at("name")
        if name.startswith("experimental-") and etcd[:2] >= (3, 7):
            hint = f"use {name.removeprefix('experimental-')}, or feature-gates"
            report.error(place, "K318", f"{name} is gone: {number} would not start", hint)
        elif name in _NEW_IN_ETCD_3_6 and etcd[:2] < (3, 6):
            hint = "use its experimental flags, or etcd 3.6"
            report.error(place, "K318", f"{name} is not in {number} yet: it would not start", hint)
