"""The state of a running cluster, compared with the cluster file and the bundle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from kgen.facts.names import LABEL_CONTROL_PLANE
from kgen.model import Cluster, Machine
from kgen.running import bootstrap_token, serving, signature
from kgen.running.bootstrap_token import TokenView
from kgen.running.components import NAMESPACE, SELECTOR, ComponentView, components
from kgen.running.connection import Connection
from kgen.running.nodes import NodeView, nodes
from kgen.running.serving import Serving
from kgen.secrets_bundle.advice import NOTICE
from kgen.secrets_bundle.model import Bundle

CONTROL_PLANE = LABEL_CONTROL_PLANE.partition("/")[2]


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """A machine of the file, a Node of the cluster, or both. ``role`` is empty where the file does not list it."""

    name: str
    role: str
    node: NodeView | None


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that was seen. ``obstacle`` says why servers before ``server`` were not used.

    ``leaf`` names the certificate of the bundle that expires first. ``token`` is None if the file has none.
    ``cluster_info`` says whether it is signed with that token. ``findings`` are sentences about what differs from the
    file, is not healthy, or expires soon.
    """

    cluster: str
    server: str
    obstacle: str
    version: str
    machines: tuple[MachineStatus, ...]
    components: tuple[ComponentView, ...]
    serving: tuple[Serving, ...]
    authority_until: datetime
    leaf: str
    leaf_until: datetime
    token: TokenView | None
    cluster_info: str
    findings: tuple[str, ...]

    @property
    def earliest_expiry(self) -> datetime:
        """Return the earliest expiry of a certificate, in the bundle or seen at an API server."""
        shown = (view.shown_until for view in self.serving if view.shown_until)
        return min(self.authority_until, self.leaf_until, *shown)


def status(cluster: Cluster, bundle: Bundle, connection: Connection, obstacle: str, now: datetime) -> Status:
    """Return the state of the cluster at ``now``.

    Raises:
        SilentError: the API stops answering.
        RefusedError: the administrator may not read something.
    """
    seen = nodes(connection.items("list_node"))
    machines = _machines(cluster, seen)
    pods = components(cluster, connection.items("list_namespaced_pod", NAMESPACE, label_selector=SELECTOR))
    shown = serving.look(cluster, bundle)
    token = bootstrap_token.look(connection, bundle.tokens[0]) if bundle.tokens else None
    info = signature.cluster_info(connection)
    signed = bool(info and bundle.tokens and signature.is_signed(info, bundle.tokens[0]))
    leaf, entry = min(bundle.certificates.items(), key=lambda item: item[1].not_after)
    authority = bundle.authorities["ca"].not_after
    ends = {"ca": authority, leaf: entry.not_after}
    findings = (
        *(finding for machine in machines for finding in _of_machine(machine, cluster)),
        *_of_components(pods, cluster),
        *of_serving(shown, now),
        *_of_token(token, info is not None, signed, cluster, now),
        *(
            f"certificate {name} of the bundle expires on {end:%Y-%m-%d}"
            for name, end in ends.items()
            if end < now + NOTICE
        ),
    )
    return Status(
        cluster=cluster.name,
        server=connection.server.url,
        obstacle=obstacle,
        version=connection.version(),
        machines=machines,
        components=pods,
        serving=shown,
        authority_until=authority,
        leaf=leaf,
        leaf_until=entry.not_after,
        token=token,
        cluster_info="missing" if info is None else "signed" if signed else "not signed",
        findings=findings,
    )


def _machines(cluster: Cluster, seen: dict[str, NodeView]) -> tuple[MachineStatus, ...]:
    listed = [MachineStatus(machine.name, machine.role, seen.get(machine.name)) for machine in cluster.machines]
    names = {machine.name for machine in cluster.machines}
    return (*listed, *(MachineStatus(name, "", node) for name, node in seen.items() if name not in names))


def _of_machine(machine: MachineStatus, cluster: Cluster) -> Iterator[str]:
    name, node = machine.name, machine.node
    if node is None:
        yield f"{name} is in the file and not in the cluster"
        return
    if not node.ready:
        yield f"{name} is NotReady: {node.message}"
    if node.kubelet != str(cluster.kubernetes_version):
        yield f"{name} runs kubelet {node.kubelet or 'of no known version'}, the file says {cluster.kubernetes_version}"
    wanted = next((entry for entry in cluster.machines if entry.name == name), None)
    if wanted is not None:
        yield from _of_listed(wanted, node)
    elif not cluster.pools:  # the file does not name the machines of pools
        yield f"{name} is in the cluster and not in the file"


def _of_listed(machine: Machine, node: NodeView) -> Iterator[str]:
    is_master = CONTROL_PLANE in node.roles
    if is_master != (machine.role == "master"):
        has = "has" if is_master else "does not have"
        yield f"{machine.name} is a {machine.role} in the file and {has} the label {LABEL_CONTROL_PLANE}"
    missing = [str(address) for address in machine.addresses if str(address) not in node.addresses]
    if missing and node.addresses:
        yield f"{machine.name} has the address {', '.join(node.addresses)}, the file says {', '.join(missing)}"


def _of_components(views: tuple[ComponentView, ...], cluster: Cluster) -> Iterator[str]:
    for view in views:
        if not view.ready:
            yield f"{view.name} on {view.master}: {view.message}"
        elif view.name.startswith("kube-") and view.version != str(cluster.kubernetes_version):
            yield f"{view.name} on {view.master} is {view.version}, the file says {cluster.kubernetes_version}"


def of_serving(views: tuple[Serving, ...], now: datetime) -> Iterator[str]:
    """Yield a finding for each API server whose certificate is refused, older than the bundle's, or expires soon."""
    for view in views:
        server = f"the API server of {view.master}"
        apply = f"`kgen apply CLUSTER_FILE {view.master} | ssh root@{view.master} sh`"
        if view.state == "refused":
            yield f"no client accepts {server}: {view.reason}"
        elif view.shown_until and view.shown_until < now + NOTICE:
            steps = f"`kgen certs renew CLUSTER_FILE`, `kgen render CLUSTER_FILE`, then {apply}"
            yield f"the certificate of {server} expires on {view.shown_until:%Y-%m-%d}: {steps}"
        elif view.state == "older":
            yield f"the certificate of {server} is older than the bundle's: {apply}"


def _of_token(token: TokenView | None, has_info: bool, signed: bool, cluster: Cluster, now: datetime) -> Iterator[str]:
    """Yield what is wrong with the signature. An expired token is not a finding."""
    signs = bool(cluster.bootstrap_tokens) and "signing" in cluster.bootstrap_tokens[0].usages
    if token is not None and token.is_valid(now) and signs and not signed:
        what = "is not signed with the bootstrap token" if has_info else "is missing"
        yield f"ConfigMap kube-public/cluster-info {what}: `kubeadm join` does not work"
