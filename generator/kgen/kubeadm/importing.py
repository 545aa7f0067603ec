"""kubeadm's documents → a cluster file with a comment at everything that needs a decision.

Most keys are moved as they are, because a cluster file has kubeadm's names. Then the cluster file's own loader judges
the result: what it refuses is commented out with its reason. So nothing is lost, and what kgen supports is said in one
place, the table of fields.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from pathlib import Path, PurePosixPath

from kgen.config import own_values
from kgen.config.fields import API_VERSION, CLUSTER
from kgen.config.load import load_text
from kgen.config.machine_fields import MACHINE
from kgen.config.network import subject_alternative_name
from kgen.config.values import dns_label
from kgen.errors import Problem, ProblemsError
from kgen.facts import names, versions
from kgen.kubeadm import defaults, outline
from kgen.kubeadm.documents import Documents
from kgen.kubeadm.outline import Item, Place, item
from kgen.reader.kinds import Invalid
from kgen.reader.objects import Object

KUBEADM_CLUSTER_NAME = "kubernetes"
DEFAULT_NAME = "cluster"
_ALGORITHM = "RSA-2048"
_ARGUMENT_FIELDS = {"node-labels": "labels", "register-with-taints": "taints"}
_ADDON_PHASES = {
    "addon": ("dns", "proxy"),
    "addon/all": ("dns", "proxy"),
    "addon/coredns": ("dns",),
    "addon/kube-proxy": ("proxy",),
}
_KEPT = re.compile(r"name|kubernetesVersion|machines|pools|(machines|pools)\[\d+\](\.(name|role|address))?|patches")
"""Paths that the loader's errors leave in place: without them there is no cluster."""
_MACHINES = re.compile(r"(machines|pools)\[")
_WHOLE_ENTRIES = re.compile(r"(?!bootstrapTokens)")
_WRONG_TYPE = ("K103", "K104", "K105")


@dataclass(frozen=True, slots=True)
class Imported:
    """The text of a cluster file, and its comments: what the user has to decide, and notes."""

    name: str
    text: str
    decisions: tuple[Problem, ...]
    notes: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A machine that the command line names; ``address`` may be empty."""

    role: str
    name: str
    address: str


def import_documents(
    documents: Documents, *, name: str, directory: Path, machines: Sequence[Wanted] = (), origin: str
) -> Imported:
    """Return the cluster file of kubeadm's ``documents``, which will be in ``directory``.

    ``name`` is the cluster's; empty: kubeadm's clusterName. ``machines`` fill in what the documents do not say, and
    are added to them. ``origin`` says in the first line where the content is from.

    Raises:
        ProblemsError: a value has a type that kubeadm refuses, too.
    """
    root = _Import(documents, name, machines, directory).run()
    name = root.value["name"].value
    _settle(root, directory / f"{name}.yaml")
    remarks = [(remark, _problem(root, path, remark)) for path, node in outline.walk(root) for remark in node.remarks]
    decisions = tuple(problem for remark, problem in remarks if remark.is_decision)
    notes = tuple(problem for remark, problem in remarks if not remark.is_decision)
    head = f"# Imported from {origin}. {_summary(len(decisions))}\n"
    return Imported(name, head + outline.text(root), decisions, notes)


def _summary(decisions: int) -> str:
    if not decisions:
        return "Nothing needs a decision."
    return f"{decisions} thing{'s need' if decisions > 1 else ' needs'} a decision: search for DECIDE."


def _problem(root: Item, path: str, remark: outline.Remark) -> Problem:
    place = remark.place or root.place or Place("", 0, 0)
    code = remark.code or ("I901" if remark.is_decision else "I902")
    return Problem(place.file, place.line, place.column, path, code, remark.message, remark.hint)


class _Import:
    def __init__(self, documents: Documents, name: str, machines: Sequence[Wanted], directory: Path) -> None:
        self._documents = documents
        self._name = name
        self._wanted = list(machines)
        self._directory = directory
        documents_of_kubeadm = (documents.cluster, *documents.inits, *documents.joins)
        self._root = Item({}, next((each.place for each in documents_of_kubeadm if each is not None), None))
        self._machines: dict[str, Item] = {}
        self._pools: list[Item] = []

    def run(self) -> Item:
        root, found = self._root, self._documents
        for what, place in found.others:
            root.note(f"{what} is left out: it says nothing about a cluster", place=place)
        if found.cluster is not None:
            root.value = dict(found.cluster.value)
        for init in found.inits:
            self._init(init)
        for join in found.joins:
            self._join(join)
        for wanted in self._wanted:
            self._add(wanted.role, Item(wanted.name), Item(wanted.address) if wanted.address else None, Item({}))
        if not any(machine.value["role"].value == "master" for machine in self._machines.values()):
            self._add("master", None, None, Item({}))
        self._settings()
        defaults.drop(root, defaults.WITHOUT_FIELD)
        root.value["machines"] = Item(list(self._machines.values()))
        root.value["pools"] = Item(list(self._pools))
        for machine in (*self._machines.values(), *self._pools):
            _sort(machine, MACHINE)
        defaults.drop_fields(root)
        self._components()
        _sort(root, CLUSTER)
        return root

    def _components(self) -> None:
        """Take the configurations of kubelet and kube-proxy."""
        for key, document in (("kubelet", self._documents.kubelet), ("kubeProxy", self._documents.kube_proxy)):
            if document is not None:
                self._root.value[key] = defaults.component(key, document)

    def _settings(self) -> None:
        """Bring the cluster's own settings into the forms that a cluster file has for them."""
        root = self._root
        self._version()
        given = root.value.setdefault("clusterName", item(KUBEADM_CLUSTER_NAME))
        root.value["name"] = Item(self._name or _name_of(given.value))
        root.value["apiVersion"] = Item(API_VERSION)
        gate = root.take("featureGates", "PublicKeysECDSA")
        if gate is not None:  # kubeadm follows the gate rather than encryptionAlgorithm
            algorithm = item("ECDSA-P256" if gate.value else _ALGORITHM, gate.place)
            algorithm.note("the feature gate PublicKeysECDSA is written as encryptionAlgorithm")
            root.value["encryptionAlgorithm"] = algorithm
        root.value.setdefault("encryptionAlgorithm", item(_ALGORITHM))
        for key in ("serviceSubnet", "podSubnet"):
            _without_host_bits(root.get("networking", key))
        for holder, key in (
            (root.get("apiServer"), "certSANs"),
            (root.get("etcd", "local"), "serverCertSANs"),
            (root.get("etcd", "local"), "peerCertSANs"),
        ):
            given_names = holder.get(key) if holder is not None else None
            for _, name in given_names.children if given_names is not None else ():
                name.value = _san(name.value)
        _without_last_slash(root.get("etcd", "local", "dataDir"))
        self._external_etcd()
        self._skipped_phases()

    def _external_etcd(self) -> None:
        """Say what to do about the files, which are on the masters. kubeadm's own configuration has every field."""
        external = self._root.get("etcd", "external")
        if external is None:
            return
        for key in ("caFile", "certFile", "keyFile"):
            file = external.get(key)
            if file is not None and file.value:
                hint = "copy the file beside the cluster file and write its name here, or import with --pki"
                file.note(f"{file.value} is a file of the masters", hint)
        http, endpoints = external.get("httpEndpoints"), external.get("endpoints")
        if http is not None and endpoints is not None and http.plain == endpoints.plain:
            external.take("httpEndpoints")

    def _skipped_phases(self) -> None:
        """Disable the add-ons whose phases kubeadm skips; the loader judges the other phases."""
        phases = self._root.get("skipPhases")
        for _, phase in phases.children if phases is not None else ():
            for field in _ADDON_PHASES.get(str(phase.value), ()):
                self._root.value.setdefault(field, Item({}, phase.place)).value["disabled"] = item(True, phase.place)
        if phases is not None:
            phases.value = [phase for _, phase in phases.children if str(phase.value) not in _ADDON_PHASES]

    def _version(self) -> None:
        newest = str(versions.newest())
        given = self._root.value.setdefault("kubernetesVersion", Item(newest))
        if given.place is None:
            given.decide("kubeadm would take the newest stable release", "write the release you want")
        elif re.fullmatch(r"\d+\.\d+\.\d+", str(given.value)):
            given.value = f"v{given.value}"
        elif not re.fullmatch(r"v\d+\.\d+\.\d+", str(given.value)):
            given.decide(f"{given.value!r} names no release in full", "write the release you want")
            given.value = newest

    def _find_patches(self, directory: Item | None) -> None:
        """Write the path of a directory beside kubeadm's file as it is seen from the cluster file."""
        if directory is not None and directory.place and isinstance(directory.value, str):
            beside = Path(directory.place.file).parent / directory.value
            if beside.is_dir():
                directory.value = os.path.relpath(beside, self._directory)

    def _init(self, document: Item) -> None:
        endpoint = document.take("localAPIEndpoint") or Item({})
        address, port = endpoint.take("advertiseAddress"), endpoint.take("bindPort")
        if port is not None and port.value != names.API_SERVER_PORT:
            self._top("localAPIEndpoint", Item({"bindPort": port}, port.place))
        self._rest("localAPIEndpoint", endpoint)
        tokens = document.take("bootstrapTokens")
        for _, token in tokens.children if tokens is not None else ():
            secret = token.take("token")
            if secret is not None:
                hint = "kgen makes a token of its own and keeps it in the secrets bundle"
                token.note("the token, a secret, is left out", hint, secret.place)
        if tokens is not None:
            self._top("bootstrapTokens", _undefined_if_default(tokens, self._root))
        registration = document.take("nodeRegistration") or Item({}, document.place)
        machine = self._add("master", registration.take("name"), address, registration)
        self._shared(document, machine)

    def _join(self, document: Item) -> None:
        control_plane = document.take("controlPlane")
        endpoint = (control_plane.take("localAPIEndpoint") if control_plane is not None else None) or Item({})
        registration = document.take("nodeRegistration") or Item({}, document.place)
        address, port, name = endpoint.take("advertiseAddress"), endpoint.take("bindPort"), registration.take("name")
        role = "node" if control_plane is None else "master"
        machine = self._add(role, name, address, registration)
        shared = self._root.get("localAPIEndpoint", "bindPort")
        usual = shared.value if shared is not None else names.API_SERVER_PORT
        if port is not None and port.value != usual:
            machine.value["localAPIEndpoint"] = Item({"bindPort": port}, port.place)
        if control_plane is not None:
            self._shared(control_plane, machine)
        self._discovery(document.take("discovery"))
        self._shared(document, machine)

    def _discovery(self, discovery: Item | None) -> None:
        """Take the endpoint; everything else of it, which has secrets, is computed."""
        if discovery is None:
            return
        server = discovery.take("bootstrapToken", "apiServerEndpoint")
        if server is not None and "controlPlaneEndpoint" not in self._root.value:
            if self._documents.cluster is None:
                self._root.value["controlPlaneEndpoint"] = server
            else:
                message = f"discovery.bootstrapToken.apiServerEndpoint {server.value!r} is left out"
                self._root.note(message, "without controlPlaneEndpoint, nodes use the master's address", server.place)
        elif server is not None and server.value != self._root.value["controlPlaneEndpoint"].value:
            message = f"discovery.bootstrapToken.apiServerEndpoint {server.value!r} is left out"
            self._root.note(message, "machines use controlPlaneEndpoint", server.place)
        leaves = [f"discovery.{path}" for path, node in outline.walk(discovery) if path and not node.children]
        if leaves:
            message = f"{', '.join(leaves)} {'are' if len(leaves) > 1 else 'is'} left out"
            self._root.note(message, "kgen computes what machines need to find the cluster", discovery.place)

    def _shared(self, document: Item, machine: Item) -> None:
        """Move what every machine shares, such as ``timeouts``, to the top of the cluster file.

        A machine may have patches of its own.
        """
        key = document.take("certificateKey")
        if key is not None and key.value:
            hint = "each master's document has its certificates"
            self._root.note("certificateKey, a secret, is left out", hint, key.place)
        patches = document.take("patches")
        if patches is not None:
            self._find_patches(patches.get("directory"))
            holder = self._root if self._root.value.setdefault("patches", patches).plain == patches.plain else machine
            holder.value["patches"] = patches
        for name, child in document.value.items():
            self._top(name, child)

    def _top(self, key: str, given: Item | None) -> None:
        """Add ``given`` to the top of the cluster file; another document may have said it before."""
        earlier = self._root.value.get(key)
        if given is None or (earlier is not None and earlier.plain == given.plain):
            return
        if earlier is None:
            self._root.value[key] = given
        elif isinstance(earlier.value, dict) and isinstance(given.value, dict):
            for name, child in given.value.items():
                before = earlier.get(name)
                if before is None:
                    earlier.value[name] = child
                elif before.plain != child.plain:
                    message = f"{key}.{name} is {child.plain!r} in another document"
                    earlier.decide(message, "a cluster has one value", child.place)
        else:
            message = f"{key} is {given.plain!r} in another document"
            earlier.decide(message, "a cluster has one value", given.place)

    def _rest(self, key: str, given: Item) -> None:
        for name, child in given.value.items():
            self._root.decide(f"kgen does not know {key}.{name} ({child.plain!r})", "check its name", child.place)

    def _add(self, role: str, name: Item | None, address: Item | None, registration: Item) -> Item:
        """Return the machine of these values, which is added unless another document has described it before."""
        usual = self._wanted_for(role, name, address, registration)
        name, address = name or usual[0], address or usual[1]
        if name is not None and (earlier := self._machines.get(name.value)) is not None:
            self._merge(earlier, address, registration)
            return earlier
        place = registration.place or (name.place if name is not None else None)
        machine = Item({"name": name or Item(self._next_name(role)), "role": Item(role)}, place)
        if name is None and role == "master":
            machine.decide("kubeadm takes the machine's own hostname for its name", "write the name you want")
        if address is not None and not _is_unspecified(address.value):
            machine.value["address"] = address
        self._registration(machine, registration)
        if "address" not in machine.value and role == "master":
            hint = "write `address:` with the address at which the others reach it"
            machine.decide("kubeadm takes the address of the machine's default route", hint)
        if name is None and role == "node":
            machine.take("address")
            self._pools.append(machine)
        else:
            self._machines[machine.value["name"].value] = machine
        return machine

    def _wanted_for(
        self, role: str, name: Item | None, address: Item | None, registration: Item
    ) -> tuple[Item | None, Item | None]:
        """Return what the command line says about a machine of a document."""
        if registration.place is None:
            return None, None
        for wanted in self._wanted:
            if wanted.role == role and (name is None or wanted.name == name.value):
                self._wanted.remove(wanted)
                return Item(wanted.name), Item(wanted.address) if wanted.address else None
        return None, None

    def _next_name(self, role: str) -> str:
        if role == "node":
            return f"nodes-{len(self._pools) + 1}" if self._pools else "nodes"
        number = 1
        while f"m{number}" in self._machines:
            number += 1
        return f"m{number}"

    def _merge(self, machine: Item, address: Item | None, registration: Item) -> None:
        other = Item({"name": machine.value["name"], "role": machine.value["role"]})
        if address is not None:
            other.value["address"] = address
        self._registration(other, registration)
        for key, child in other.value.items():
            if machine.value.setdefault(key, child).plain != child.plain:
                message = f"{key} is {child.plain!r} in another document"
                machine.decide(message, "a machine has one value", child.place)

    def _registration(self, machine: Item, registration: Item) -> None:
        socket = registration.get("criSocket")
        if socket is not None and str(socket.value).startswith("/"):
            socket.value = f"unix://{socket.value}"
        defaults.drop(registration, defaults.REGISTRATION)
        taints = registration.take("taints")
        if taints is not None:
            machine.value["taints"] = taints
        arguments = registration.get("kubeletExtraArgs")
        if arguments is not None and isinstance(arguments.value, list):
            arguments.value = [entry for entry in arguments.value if not self._argument(machine, entry)]
            if not arguments.value:
                registration.take("kubeletExtraArgs")
        if registration.value:
            machine.value["nodeRegistration"] = registration

    def _argument(self, machine: Item, entry: Item) -> bool:
        """Return whether a kubelet's argument became a key of the machine."""
        name, value = (entry.get(key) for key in ("name", "value"))
        if name is None or value is None or not isinstance(value.value, str):
            return False
        if name.value == "node-ip" and value.value not in own_values.UNSPECIFIED:
            given = [Item(part, value.place) for part in value.value.split(",")]
            address = machine.get("address")
            if address is None:
                machine.value["address"] = given[0] if len(given) == 1 else Item(given, value.place)
                return True
            if len(given) == 2 and given[0].value == address.value:
                machine.value["address"] = Item(given, value.place)
                return True
            return bool([part.value for part in given] == [address.value])
        if name.value == "hostname-override":
            return bool(value.value == machine.value["name"].value)
        key = _ARGUMENT_FIELDS.get(name.value)
        parsed = _labels(value) if key == "labels" else _taints(value) if key else None
        if key is None or parsed is None:
            return False
        if key == "labels" and key in machine.value:  # the kubelet takes them all, and the last value of each
            machine.value[key].value |= parsed.value
            return True
        if key in machine.value:
            return False
        machine.value[key] = parsed
        return True


def _sort(given: Item, kind: Object) -> None:
    """Bring the keys into the order of the table; unknown ones come last."""
    order = list(kind.by_key)
    given.value = dict(sorted(given.value.items(), key=lambda pair: (*order, pair[0]).index(pair[0])))


def _labels(value: Item) -> Item | None:
    pairs = [part.partition("=") for part in value.value.split(",") if part]
    if not all(separator for _, separator, _ in pairs):
        return None
    return Item({key: Item(text, value.place) for key, _, text in pairs}, value.place)


def _taints(value: Item) -> Item | None:
    found = [re.fullmatch(r"([^=:]+)(?:=([^:]*))?:(\w+)", part) for part in value.value.split(",") if part]
    if not all(found):
        return None
    fields = [{"key": each[1], "value": each[2], "effect": each[3]} for each in found if each]
    return item([{key: text for key, text in taint.items() if text} for taint in fields], value.place)


def _undefined_if_default(tokens: Item, root: Item) -> Item | None:
    """Return the tokens; None for one token with kubeadm's defaults, whose remarks go to ``root``."""
    holder = Item({"bootstrapTokens": tokens})
    remarks = [remark for _, token in tokens.children for remark in token.remarks]
    for _, token in tokens.children:
        token.remarks = []
    defaults.drop_fields(holder)
    if len(tokens.children) == 1 and not tokens.value[0].value:
        for remark in remarks:
            root.note(remark.message, remark.hint, remark.place)
        return None
    tokens.remarks += remarks
    return tokens


def _name_of(cluster_name: object) -> str:
    try:
        return DEFAULT_NAME if cluster_name == KUBEADM_CLUSTER_NAME else str(dns_label(str(cluster_name)))
    except Invalid:
        return DEFAULT_NAME


def _is_unspecified(address: object) -> bool:
    try:
        return ip_address(str(address)).is_unspecified
    except ValueError:
        return address == ""


def _without_host_bits(subnets: Item | None) -> None:
    """Write each network by its first address, as the loader wants it. kubeadm passes the text on unchanged."""
    if subnets is None or not isinstance(subnets.value, str):
        return
    try:
        networks = ",".join(str(ip_interface(part).network) for part in subnets.value.split(",") if part)
    except ValueError:
        return  # the loader reports it
    if networks != subnets.value:
        subnets.note(f"{subnets.value} is written as the network {networks}")
        subnets.value = networks


def _without_last_slash(path: Item | None) -> None:
    """Write a directory without the slashes that mean nothing. kubeadm passes the text on unchanged."""
    if path is not None and str(path.value).startswith("/"):
        usual = str(PurePosixPath(str(path.value)))
        if usual != path.value:
            path.note(f"{path.value} is written as {usual}")
            path.value = usual


def _san(name: object) -> object:
    """Return a name in lower case, as kubeadm writes it into certificates, unless it is wrong."""
    try:
        subject_alternative_name(str(name).lower())
    except Invalid:
        return name
    return str(name).lower()


def _settle(root: Item, path: Path) -> None:
    """Comment out what the loader refuses, until it refuses nothing that can be left out.

    Raises:
        ProblemsError: a value has the wrong type; the problems have the places of the source.
    """
    decided: set[tuple[str, str]] = set()
    while problems := _problems(root, path):
        wrong = [_at_source(problem, root) for problem in problems if problem.code in _WRONG_TYPE]
        if wrong := [problem for problem in wrong if problem is not None]:
            raise ProblemsError(wrong)
        # Find all places before the first item is commented out: indexes count what is not commented out.
        ways = [outline.follow(root, problem.field) for problem in problems]
        is_changed = False
        for problem, way in zip(problems, ways, strict=True):
            is_changed |= _settle_one(problem, way, path, decided)
        if not is_changed:
            return


def _problems(root: Item, path: Path) -> tuple[Problem, ...]:
    try:
        load_text(outline.text(root), str(path))
    except ProblemsError as error:
        return error.problems
    return ()


def _at_source(problem: Problem, root: Item) -> Problem | None:
    place = outline.follow(root, problem.field)[-1].place
    if place is None:
        return None
    message, hint = problem.message, problem.hint
    return Problem(place.file, place.line, place.column, problem.field, problem.code, message, hint)


def _settle_one(problem: Problem, way: Sequence[Item], path: Path, decided: set[tuple[str, str]]) -> bool:
    """Comment the item of a problem out, or remark on it if it has to stay. Return whether anything changed.

    ``way`` leads from the root to the item.
    """
    target = way[-1]
    is_elsewhere = problem.file != str(path)
    if is_elsewhere or len(way) == 1 or problem.code == "K102" or _KEPT.fullmatch(problem.field):
        where = f"{problem.file}:{problem.line}: " if is_elsewhere else ""
        if (problem.field, problem.code) not in decided and not (problem.code == "K316" and target.remarks):
            target.decide(where + problem.message, problem.hint, code=problem.code)
        decided.add((problem.field, problem.code))
        return False
    if _WHOLE_ENTRIES.match(problem.field):
        entries = [child for parent, child in itertools.pairwise(way) if isinstance(parent.value, list)]
        if _MACHINES.match(problem.field):
            entries = entries[1:]  # an argument or a taint of the machine, not the machine
        target = entries[0] if entries else target
    target.is_out = True
    target.decide(problem.message, problem.hint, code=problem.code)
    return True
