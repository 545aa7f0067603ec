"""Rules about the registration of machines, and about lists whose entries must differ."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from kgen.config import own_values
from kgen.config.fields import API_VERSION, FEATURE_GATES
from kgen.config.rules.facts import Facts
from kgen.facts import preflight_rows, versions
from kgen.facts.versions import Version
from kgen.reader.objects import Draft
from kgen.reader.report import Report, nearest, shown
from kgen.reader.tree import Mapping, Node, Scalar

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
    """Warn if kgen does not know the version yet and has to assume its image tags."""
    version = facts.version
    if version is not None and not versions.is_known_patch(version):
        tags = versions.release_of(version)
        message = (
            f"{version} is newer than kgen knows: etcd {tags.etcd}, CoreDNS {tags.coredns}, pause {tags.pause} assumed"
        )
        hint = f"compare with `kubeadm config images list --kubernetes-version {version}`"
        report.warn(facts.root.at("kubernetesVersion"), "K901", message, hint)


def version_has_it(facts: Facts, report: Report) -> None:
    """Refuse a value that a later version of kubeadm introduced."""
    version = facts.version
    if version is None:
        return
    algorithm = facts.root.get("encryptionAlgorithm")
    if algorithm == "ECDSA-P384" and not versions.takes_p384(version):
        place = facts.root.at("encryptionAlgorithm")
        report.error(
            place,
            "K326",
            f"kubeadm {version} does not know {algorithm}",
            "use ECDSA-P256, or kubernetesVersion v1.34 or later",
        )


def format_is_given(facts: Facts, report: Report) -> None:
    """Warn if the file has no ``apiVersion``: a later kgen could not tell its format."""
    if not facts.root.is_given("apiVersion"):
        message = f"apiVersion is missing, {API_VERSION} is assumed"
        report.warn(facts.root.node, "K907", message, f"write apiVersion: {API_VERSION}", key="apiVersion")


def taints(facts: Facts, report: Report) -> None:
    """Taints of a machine are given in one place, and each taint once."""
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
            report.error(place, "K322", message, f"it is already given in line {seen[name].line}")
        seen.setdefault(name, place)


def preflight_errors(facts: Facts, report: Report) -> None:
    """``all`` is the only entry, as in kubeadm. Every other name is that of a check."""
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
                        report.error(
                            place, "K325", "`all` already includes every check", "remove `all`, or every other name"
                        )


def node_addresses(facts: Facts, report: Report) -> None:
    """A node-ip is found on the machine: by family, network or interface. The address of one machine is its field."""
    for holder in (facts.root, *facts.documents):
        for argument in holder.section("nodeRegistration").drafts("kubeletExtraArgs"):
            value = argument.get("value")
            if argument.get("name") != "node-ip" or value is None:
                continue
            if holder is not facts.root and holder.is_given("address"):
                hint = "keep one of them: `address:` of the machine"
                report.error(argument.at("name"), "K317", "kgen sets node-ip from the machine's address", hint)
            elif value not in own_values.UNSPECIFIED and not own_values.are_addresses(value):
                hint = (
                    "use `address:` of a machine; elsewhere '::', 0.0.0.0, {network: 10.0.0.0/8} or {interface: eth1}"
                )
                report.error(argument.at("value"), "K317", f"node-ip cannot be {shown(value)} here", hint)


def only_containerd_gets_more(facts: Facts, report: Report) -> None:
    """Proxies, CAs and images are for containerd: kgen knows neither unit nor packages of another runtime."""
    root_section = facts.root.section("nodeRegistration")
    reported: set[int] = set()
    for holder in facts.documents:
        own = holder.section("nodeRegistration")
        section = own if own.is_given("criSocket") else root_section
        socket = section.get("criSocket")
        if not socket or "containerd" in socket or id(section.at("criSocket")) in reported:
            continue
        for is_wanted, what, hint in (
            (facts.root.is_given("httpProxy"), "httpProxy works with", "remove httpProxy"),
            (
                any("ca_certs" in (each.get("cloudInit") or {}) for each in (facts.root, holder)),
                "the first boot restarts, for ca_certs,",
                "remove ca_certs",
            ),
            (
                facts.root.section("image").get("runner") == "baked",
                "an image of kgen bake has",
                "use `image: {runner: embedded}` and an image of your own",
            ),
        ):
            if is_wanted:
                message = f"{what} containerd only, not the runtime at {socket}"
                more = "; settings of its unit can come by `files:`"
                report.error(section.at("criSocket"), "K354", message, hint + more)
                reported.add(id(section.at("criSocket")))
                break


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
    """Only kubeadm's own gates may be set here; gates of components are arguments of the components."""
    node, version = facts.root.at("featureGates"), facts.version
    for gate, value in (facts.root.get("featureGates") or {}).items():
        place = node.entries[gate][0] if isinstance(node, Mapping) else node
        if gate in GONE_GATES:
            if version is None or not versions.has_gate(version, gate):
                report.error(place, "K222", f"kubeadm no longer has the gate {gate}", GONE_GATES[gate])
            elif value != _value_of(facts, version, gate):
                message = f"kgen's output is always that of {gate}: {str(not value).lower()}"
                report.error(place, "K222", message, GONE_GATES[gate])
            else:
                report.warn(place, "K941", f"later versions of kubeadm refuse the gate {gate}", GONE_GATES[gate])
        elif gate not in FEATURE_GATES:
            near = nearest(gate, FEATURE_GATES)
            components = "gates of components go to `feature-gates` of their extraArgs, or kubelet.featureGates"
            report.error(
                place, "K222", f"kubeadm has no gate {shown(gate)}", f"did you mean {near}?" if near else components
            )
        elif value:
            report.error(place, "K403", f"{gate} is not supported yet", "remove it: static pods run as root")


def _value_of(facts: Facts, version: Version, gate: str) -> bool | None:
    """Return the value of a gate of older kubeadms that leads to kgen's output; None if no value does."""
    if gate == "PublicKeysECDSA":
        return {"ECDSA-P256": True, "RSA-2048": False}.get(facts.root.get("encryptionAlgorithm") or "")
    return versions.has_instance_config(version) if gate == "NodeLocalCRISocket" else True


def image_pulls(facts: Facts, report: Report) -> None:
    """Only masters look for images before the kubelet pulls them."""
    for holder in facts.documents:
        registration = holder.section("nodeRegistration")
        if holder.get("role") == "node" and registration.get("imagePullPolicy") == "Never":
            message = "kgen looks for the control plane's images only, and this machine has none"
            report.error(registration.key_at("imagePullPolicy"), "K381", message, "remove it")


def spelling(facts: Facts, report: Report) -> None:
    """Warn about values that kubeadm takes, too, and that kgen writes in another form."""
    for holder in (facts.root, *facts.documents):
        if holder.is_given("nodeRegistration"):
            socket = holder.section("nodeRegistration").at("criSocket")
            if isinstance(socket, Scalar) and socket.text.startswith("/"):
                report.warn(socket, "K940", f"{socket.text} has no scheme", f"write unix://{socket.text}")
    for key in ("serviceSubnet", "podSubnet"):
        value, node = facts.networking.get(key), facts.networking.at(key)
        if value is None or not facts.networking.is_given(key) or not isinstance(node, Scalar):
            continue
        given = [ip_address(part.partition("/")[0]) for part in node.text.split(",")]
        if given != [network.network_address for network in value]:
            hint = f"write {','.join(map(str, value))}"
            report.warn(node, "K940", f"{node.text} is an address inside a network", hint)


def component_configuration(facts: Facts, report: Report) -> None:
    """Refuse changes of values that kubeadm forces, and warn about deprecated fields."""
    for holder in (facts.root, *facts.documents):
        if (holder.get("kubelet") or {}).get("rotateCertificates") is False:
            place = _below(holder.at("kubelet"), "rotateCertificates")
            report.error(place, "K110", "certificates of kubelets are always rotated", "remove it")
    is_late = facts.version and versions.deprecates_ipvs(facts.version)
    if is_late and (facts.root.get("kubeProxy") or {}).get("mode") == "ipvs":
        place = _below(facts.root.at("kubeProxy"), "mode")
        report.warn(place, "K906", "the mode ipvs is deprecated since v1.35", "use nftables")


def _below(node: Node, key: str) -> Node:
    return node.entries[key][1] if isinstance(node, Mapping) else node


_CREDENTIALS = {"ssh_authorized_keys", "ssh_import_id", "plain_text_passwd", "passwd", "hashed_passwd"}


def users(facts: Facts, report: Report) -> None:
    """Users have distinct names, and their passwords can be used to log in."""
    entries = list(facts.root.items("users"))
    _distinct([(user["name"], place) for user, place in entries if "name" in user], "the user", report)
    for user, place in entries:
        given = [key for key in ("plain_text_passwd", "passwd", "hashed_passwd") if key in user]
        if "plain_text_passwd" in given and len(given) > 1:
            report.error(place, "K108", f"the password is given by {' and by '.join(given)}", "keep one of them")
        elif given and user.get("lock_passwd", True):
            hint = "add `lock_passwd: false`: cloud-init locks passwords by default"
            report.warn(place, "K904", f"{user.get('name', 'the user')} cannot log in with the password", hint)
    if entries and not any(
        user["name"] == "default" or _CREDENTIALS & user.keys() for user, _ in entries if "name" in user
    ):
        hint = "add ssh_authorized_keys to a user, or the entry `default`, which gets the provider's key"
        report.warn(facts.root.at("users"), "K915", "nobody can log in: no user has a key or a password", hint)
