"""Rules about what machines register with, and about lists whose entries must differ."""

from __future__ import annotations

from collections.abc import Iterable

from kgen import preflight_rows, versions
from kgen.config.fields import API_VERSION, FEATURE_GATES
from kgen.config.objects import Draft
from kgen.config.report import Report, nearest, shown
from kgen.config.rules.facts import Facts
from kgen.config.tree import Mapping, Node

GONE_GATES = {
    "PublicKeysECDSA": "use encryptionAlgorithm",
    "IPv6DualStack": "remove it",
    "UnversionedKubeletConfigMap": "remove it",
    "EtcdLearnerMode": "remove it: masters start together",
    "UpgradeAddonsBeforeControlPlane": "remove it",
    "WaitForAllControlPlaneComponents": "remove it: it is always on",
    "ControlPlaneKubeletLocalMode": "remove it: it is always on",
    "NodeLocalCRISocket": "remove it: it is on from v1.34 on",
}


def version_is_known(facts: Facts, report: Report) -> None:
    """Image tags of a patch that kgen does not know yet are assumed."""
    version = facts.version
    if version is not None and not versions.is_known_patch(version):
        tags = versions.release_of(version)
        message = (
            f"{version} is newer than kgen knows: etcd {tags.etcd}, CoreDNS {tags.coredns}, pause {tags.pause} assumed"
        )
        hint = f"compare with `kubeadm config images list --kubernetes-version {version}`"
        report.warn(facts.root.at("kubernetesVersion"), "K901", message, hint)


def version_has_it(facts: Facts, report: Report) -> None:
    """What came with a later version cannot be asked for."""
    version = facts.version
    if version is None:
        return
    algorithm = facts.root.get("encryptionAlgorithm")
    if algorithm == "ECDSA-P384" and not versions.takes_p384(version):
        place = facts.root.at("encryptionAlgorithm")
        report.error(place, "K326", f"kubeadm {version} does not know {algorithm}", "use ECDSA-P256, or v1.34")
    for field in facts.root.get("kubelet") or {}:
        since = versions.kubelet_field_since(version, field)
        if since:
            place = _below(facts.root.at("kubelet"), field)
            report.error(place, "K326", f"the kubelet of {version} has no field {field}", f"remove it, or use {since}")


def format_is_given(facts: Facts, report: Report) -> None:
    """A file that says its format can be read by every later kgen."""
    if not facts.root.is_given("apiVersion"):
        message = f"apiVersion is missing, {API_VERSION} is assumed"
        report.warn(facts.root.node, "K907", message, f"write apiVersion: {API_VERSION}", key="apiVersion")


def taints(facts: Facts, report: Report) -> None:
    """Taints are said in one place, and once."""
    for holder in (facts.root, *facts.documents):
        registration = holder.section("nodeRegistration") if holder.is_given("nodeRegistration") else None
        if registration is not None:
            if holder is not facts.root and holder.is_given("taints") and registration.is_given("taints"):
                message = "the machine's taints are given here and directly on it"
                report.error(registration.key_at("taints"), "K108", message, "keep one of them")
            _distinct_taints(registration, report)
        if holder is not facts.root and holder.is_given("taints"):
            _distinct_taints(holder, report)


def _distinct_taints(holder: Draft, report: Report) -> None:
    entries = [(f"{taint.get('key')}:{taint.get('effect')}", taint.node) for taint in holder.drafts("taints")]
    _distinct(entries, "the taint", report)


def _distinct(entries: Iterable[tuple[str, Node]], what: str, report: Report) -> None:
    seen: dict[str, Node] = {}
    for name, place in entries:
        if name in seen:
            message = f"{what} {name} is given twice"
            report.error(place, "K322", message, f"it stands in line {seen[name].line} already")
        seen.setdefault(name, place)


def preflight_errors(facts: Facts, report: Report) -> None:
    """``all`` says everything, as in kubeadm; a name that no check has lets nothing pass."""
    for holder in (facts.root, *facts.documents):
        if holder.is_given("nodeRegistration"):
            registration = holder.section("nodeRegistration")
            given = [(name.lower(), place) for name, place in registration.items("ignorePreflightErrors")]
            for name, place in registration.items("ignorePreflightErrors"):
                if not preflight_rows.is_known(name):
                    near = nearest(name, preflight_rows.NAMES)
                    hint = f"did you mean {near}?" if near else "docs/reference/preflight.md lists them"
                    report.warn(place, "K909", f"no preflight check is called {shown(name)}", hint)
            if len(given) > 1:
                for name, place in given:
                    if name == "all":
                        report.error(place, "K325", "all says everything already", "write all alone, or remove it")


def volumes(facts: Facts, report: Report) -> None:
    """Names and mount paths of volumes differ inside a pod."""
    for component in ("apiServer", "controllerManager", "scheduler"):
        entries = list(facts.root.section(component).drafts("extraVolumes"))
        for key, what in (("name", "the volume"), ("mountPath", "the mount path")):
            found = [(entry.get(key), entry.at(key)) for entry in entries]
            _distinct([(name, place) for name, place in found if name is not None], what, report)


def environment(facts: Facts, report: Report) -> None:
    """A variable has a value or a source, not both."""
    holders = [facts.root.section(component) for component in ("apiServer", "controllerManager", "scheduler")]
    for holder in (*holders, facts.root.section("etcd").section("local")):
        for entry, place in holder.items("extraEnvs"):
            if "value" in entry and "valueFrom" in entry:
                message = f"{entry.get('name')} has a value and a valueFrom"
                report.error(place, "K108", message, "keep one of them")


def gates(facts: Facts, report: Report) -> None:
    """Only kubeadm's own gates belong here; those of components are arguments."""
    node, version = facts.root.at("featureGates"), facts.version
    for gate, value in (facts.root.get("featureGates") or {}).items():
        place = node.entries[gate][0] if isinstance(node, Mapping) else node
        if gate in GONE_GATES:
            is_there = version and versions.has_gate(version, gate)
            message = f"later kubeadms refuse the gate {gate}" if is_there else f"kubeadm has no gate {gate} any more"
            report.error(place, "K222", message, GONE_GATES[gate])
        elif gate not in FEATURE_GATES:
            near = nearest(gate, FEATURE_GATES)
            components = "gates of components go to `feature-gates` of their extraArgs, or kubelet.featureGates"
            report.error(
                place, "K222", f"kubeadm has no gate {shown(gate)}", f"did you mean {near}?" if near else components
            )
        elif value:
            report.error(place, "K403", f"{gate} is not supported yet", "remove it: static pods run as root")


def component_configuration(facts: Facts, report: Report) -> None:
    """What kubeadm forces stays forced; what is on its way out is said."""
    if (facts.root.get("kubelet") or {}).get("rotateCertificates") is False:
        place = _below(facts.root.at("kubelet"), "rotateCertificates")
        report.error(place, "K110", "certificates of kubelets are always rotated", "remove it")
    is_late = facts.version and versions.deprecates_ipvs(facts.version)
    if is_late and (facts.root.get("kubeProxy") or {}).get("mode") == "ipvs":
        place = _below(facts.root.at("kubeProxy"), "mode")
        report.warn(place, "K906", "the mode ipvs is deprecated since v1.35", "use nftables")


def _below(node: Node, key: str) -> Node:
    return node.entries[key][1] if isinstance(node, Mapping) else node


def users(facts: Facts, report: Report) -> None:
    """Users differ, and a password that is given can be used."""
    entries = list(facts.root.items("users"))
    _distinct([(user["name"], place) for user, place in entries if "name" in user], "the user", report)
    for user, place in entries:
        given = [key for key in ("plain_text_passwd", "passwd", "hashed_passwd") if key in user]
        if "plain_text_passwd" in given and len(given) > 1:
            report.error(place, "K108", f"the password is given by {' and by '.join(given)}", "keep one of them")
        elif given and user.get("lock_passwd", True):
            hint = "cloud-init locks passwords unless told otherwise: add lock_passwd: false"
            report.warn(place, "K904", f"{user.get('name', 'the user')} cannot log in with the password", hint)
