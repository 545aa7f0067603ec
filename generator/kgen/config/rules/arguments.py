"""Rules about extra arguments: those that kgen sets, those that the program does not have, and duplicates of a field.

An extra argument overrides kubeadm's default, as in kubeadm. kgen refuses only arguments that name the bundle's files
or the cluster's identity, and flags that the programs do not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kgen.config import unknown_names
from kgen.config.rules.facts import Facts
from kgen.facts import etcd_flags, names, versions
from kgen.reader.objects import Draft
from kgen.reader.report import ALIKE, Report, all_of, nearest
from kgen.reader.tree import Node

PROGRAMS = {
    "apiServer": "kube-apiserver",
    "controllerManager": "kube-controller-manager",
    "scheduler": "kube-scheduler",
    "kubelet": "kubelet",
}
"""The programs of Kubernetes by component of the cluster file, as the tables of ``kgen.facts.programs`` name them."""

_CONTROL_PLANE = ("apiServer", "controllerManager", "scheduler")
_ALL = (*_CONTROL_PLANE, "etcd", "kubelet")
_BUNDLE = "remove it: keys and certificates come from the secrets bundle"
_FOLLOWS = "remove it: kgen computes it from the masters of this file"


@dataclass(frozen=True)
class Row:
    """Arguments of some components by name, ``*`` for any characters, and what to do instead."""

    components: tuple[str, ...]
    pattern: str
    hint: str

    def matches(self, component: str, name: str) -> bool:
        """Return whether the row is about this argument."""
        return component in self.components and fnmatchcase(name, self.pattern)


_SERVING = ("tls-cert-file", "tls-private-key-file")
OWN_FILES = (
    ("apiServer", "oidc-ca-file"),
    ("apiServer", "service-account-key-file"),
    *((component, name) for component in ("controllerManager", "scheduler") for name in _SERVING),
)
"""Arguments whose names look like those of the bundle's files, but whose files are the user's."""

RESERVED = (
    Row(("apiServer",), "tls-cert-file", "remove it: more names for the certificate go to apiServer.certSANs"),
    Row(("apiServer",), "kubelet-client-certificate", _BUNDLE),
    Row(("apiServer",), "kubelet-client-key", _BUNDLE),
    Row(("kubelet",), "tls-cert-file", "use tlsCertFile below `kubelet:`"),
    Row(("kubelet",), "tls-private-key-file", "use tlsPrivateKeyFile below `kubelet:`"),
    Row(
        ("controllerManager",),
        "cluster-signing-*-*-file",
        "remove it: kube-controller-manager does not take it together with cluster-signing-cert-file, which kgen sets",
    ),
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
    Row(("etcd",), "initial-advertise-peer-urls", _FOLLOWS),
    Row(("etcd",), "initial-cluster", _FOLLOWS),
    Row(("etcd",), "initial-cluster-state", _FOLLOWS),
    Row(("etcd",), "config-file", "use arguments: with a file etcd ignores all others"),
    Row(("kubelet",), "hostname-override", "use `name:` of the machine"),
    Row(("kubelet",), "node-labels", "use `labels:` of the machine or pool"),
    Row(("kubelet",), "register-with-taints", "use `taints:` of the machine or pool"),
    Row(("kubelet",), "container-runtime-endpoint", "use nodeRegistration.criSocket"),
    Row(("kubelet",), "config", "use `kubelet:` for fields of KubeletConfiguration"),
    Row(("kubelet",), "config-dir", "use `kubelet:` for fields of KubeletConfiguration"),
    Row(("kubelet",), "pod-manifest-path", "remove it: the runner puts the manifests into /etc/kubernetes/manifests"),
    Row(
        ("kubelet",),
        "root-dir",
        "remove it: kubeadm and the first boot use /var/lib/kubelet; mount a disk there instead",
    ),
    Row(("kubelet",), "cert-dir", "remove it: kubelet.conf names the certificates in /var/lib/kubelet/pki"),
)
"""Arguments that kgen sets. The first row that matches applies."""

SUCCESSORS = (
    *((component, "address", "use bind-address") for component in _CONTROL_PLANE),
    *((component, "port", "use secure-port") for component in _CONTROL_PLANE),
    ("apiServer", "insecure-bind-address", "remove it: the API server serves with TLS only"),
    ("apiServer", "insecure-port", "remove it: the API server serves with TLS only"),
    ("apiServer", "service-account-api-audiences", "use api-audiences"),
    ("controllerManager", "experimental-cluster-signing-duration", "use cluster-signing-duration"),
    (
        "controllerManager",
        "pod-eviction-timeout",
        "use tolerationSeconds of pods, or kube-apiserver's default-not-ready-toleration-seconds",
    ),
    ("controllerManager", "enable-taint-manager", "remove it: it is always on"),
    ("kubelet", "register-schedulable", "use `taints:`"),
    ("kubelet", "pod-infra-container-image", "set the sandbox image in containerd's configuration"),
)
"""What to use instead of flags that were removed, where the flag of the nearest name is not the answer."""

FIELDS = (
    Row(("apiServer",), "advertise-address", "`address:` of the machine"),
    Row(("apiServer",), "secure-port", "localAPIEndpoint.bindPort"),
    Row(("apiServer", "controllerManager"), "service-cluster-ip-range", "networking.serviceSubnet"),
    Row(("controllerManager",), "cluster-cidr", "networking.podSubnet"),
    Row(("controllerManager",), "cluster-name", "clusterName"),
)
"""Arguments that override only one of the places that a field sets."""


def arguments(facts: Facts, report: Report) -> None:
    """Refuse arguments that kgen sets or that do not exist; warn about those that duplicate a field."""
    for component, argument in given(facts):
        name = argument.get("name")
        if name is None or (component, name) in OWN_FILES:
            continue
        place = argument.at("name")
        reserved = _first(RESERVED, component, name)
        field = _first(FIELDS, component, name)
        if reserved:
            report.error(place, "K317", f"kgen sets {name} itself", reserved.hint)
        elif _is_unknown(facts, component, name):
            _refuse_unknown(facts, report, place, component, name)
        elif field:
            message = f"{name} is overridden here only; the rest of the cluster follows its field"
            report.warn(place, "K903", message, f"use {field.hint}")
    _etcd_of_another_time(facts, report)


def _is_unknown(facts: Facts, component: str, name: str) -> bool:
    return bool(facts.programs and component in PROGRAMS and name not in facts.programs.flags[PROGRAMS[component]])


def _refuse_unknown(facts: Facts, report: Report, place: Node, component: str, name: str) -> None:
    assert facts.programs is not None  # noqa: S101 without a table no flag is unknown
    program = PROGRAMS[component]
    successors = [hint for of, flag, hint in SUCCESSORS if (of, flag) == (component, name)]
    nearest = unknown_names.hint(
        name, facts.programs.flags[program], lambda table: name in table.flags[program], ALIKE, "remove it"
    )
    message = f"{program} {facts.programs.version} has no argument {name}: it would not start"
    facts.refuse(report, place, "K318", message, successors[0] if successors else nearest)


def _first(rows: tuple[Row, ...], component: str, name: str) -> Row | None:
    return next((row for row in rows if row.matches(component, name)), None)


def given(facts: Facts) -> Iterator[tuple[str, Draft]]:
    """Yield every extra argument that could be read, with its component."""
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
    """Refuse etcd flags that this etcd no longer has, and flags that only a later etcd has."""
    local = facts.root.section("etcd").section("local")
    tag = local.get("imageTag") or ""
    etcd = versions.etcd(facts.version, tag) if facts.version else None
    if etcd is None or facts.version is None:
        return
    number = f"etcd {etcd.minor}"
    is_experimental = versions.etcd_flags_are_experimental(facts.version, tag)
    if not (etcd.takes_experimental_flags if is_experimental else etcd.takes_their_successors):
        hint = f"remove imageTag, or use a version closer to {versions.release_of(facts.version).etcd}"
        report.error(local.at("imageTag"), "K327", f"kgen passes flags for {facts.version} that {number} refuses", hint)
    for argument in local.drafts("extraArgs"):
        name, place = argument.get("name") or "", argument.at("name")
        wrong, hint = _unknown_to_etcd(name, etcd)
        if wrong and not _first(RESERVED, "etcd", name):
            report.error(place, "K318", f"{number} {wrong} {name}: it would not start", hint)


def _unknown_to_etcd(name: str, etcd: versions.Etcd) -> tuple[str, str]:
    """Return why an etcd does not start with the flag ``name``, and a hint; two empty texts if it starts."""
    known = etcd_flags.by_minor().get(etcd.minor)
    if known is not None and name in known:
        return "", ""
    if name.startswith("experimental-") and not etcd.takes_experimental_flags:
        successor = name.removeprefix("experimental-")
        use = f"use {successor}" if known is None or successor in known else "remove it"
        return "does not know", f"{use}, or use feature-gates"
    if name in _NEW_IN_ETCD_3_6 and not etcd.takes_their_successors:
        return "does not know", "use the flag that begins with experimental-, or etcd 3.6"
    if known is None:
        return "", ""
    near = nearest(name, known, ALIKE)
    others = [minor for minor, flags in etcd_flags.by_minor().items() if name in flags]
    exists = f"it exists only in etcd {all_of(others)}; " if others else ""
    return "has no argument", exists + (f"did you mean {near}?" if near else "remove it")


def service_account_keys(facts: Facts, report: Report) -> None:
    """Keys of service accounts from elsewhere are added to the bundle's, which signs the tokens of this cluster."""
    own = str(names.PKI_DIR / "sa.pub")
    given = [
        argument
        for argument in facts.root.section("apiServer").drafts("extraArgs")
        if argument.get("name") == "service-account-key-file"
    ]
    if given and own not in [argument.get("value") for argument in given]:
        message = f"service-account-key-file replaces kubeadm's {own}: the API server would refuse every pod's token"
        hint = f"add {{name: service-account-key-file, value: {own}}}"
        report.error(given[0].at("value"), "K383", message, hint)
