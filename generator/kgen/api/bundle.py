"""What the secrets bundle alone answers: certificates, the join command, routes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kgen.config.load import load
from kgen.config.model import BootstrapToken, Cluster
from kgen.errors import InputError
from kgen.render import bridge
from kgen.secrets_bundle import inventory, pod_ranges, selection, store
from kgen.secrets_bundle.inventory import CertificateInfo
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import Populated, populate


def missing_bundle(path: Path, hint: str, addition: str = "") -> InputError:
    """Return the error of a bundle that is not there."""
    return InputError(f"there is no secrets bundle {path}{addition}", hint)


def existing_bundle(cluster_file: Path) -> Bundle:
    """Return the bundle of ``cluster_file``.

    Raises:
        InputError: there is none; a render makes it.
    """
    path = store.path_for(cluster_file)
    bundle = store.read(path)
    if bundle is None:
        raise missing_bundle(path, f"`kgen render {cluster_file}` creates it")
    return bundle


def certificates(cluster_file: Path) -> tuple[CertificateInfo, ...]:
    """Return every certificate in the bundle of ``cluster_file``; the cluster file itself is not read.

    Raises:
        InputError: there is no bundle, or a certificate in it is damaged.
    """
    path = store.path_for(cluster_file)
    bundle = existing_bundle(cluster_file)
    try:
        return inventory.inventory(bundle)
    except (ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged: {error}", "restore the file from a backup") from error


def renew(cluster_file: Path, names: Iterable[str] = (), *, now: datetime | None = None) -> Populated:
    """Issue leaves again and write the bundle; ``names`` as in ``kgen certs renew``, none: all leaves.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle or a name is at fault; nothing was written.
        KgenError: the disk refuses, or another kgen is at work.
    """
    cluster = load(cluster_file).cluster
    path = store.path_for(cluster_file)
    chosen = selection.leaves(cluster, names)
    with store.locked(path):
        bundle = existing_bundle(cluster_file)
        populated = populate(bundle, cluster, now or datetime.now(UTC), renew=chosen)
        store.write(path, populated.bundle)
    return populated


def first_token(cluster: Cluster, bundle: Bundle) -> tuple[BootstrapToken, str]:
    """Return settings and text of the token that all documents carry.

    Raises:
        InputError: there is none.
    """
    if not bundle.tokens or not cluster.bootstrap_tokens:
        raise InputError("the cluster has no bootstrap token", "add one to bootstrapTokens and render")
    return cluster.bootstrap_tokens[0], bundle.tokens[0]


def join_command(cluster_file: Path) -> str:
    """Return the stock ``kubeadm join`` line of a node, with the first bootstrap token.

    Raises:
        ProblemsError, InputError: the cluster file is at fault, or there is no bundle or no token.
    """
    cluster = load(cluster_file).cluster
    bundle = existing_bundle(cluster_file)
    _, token = first_token(cluster, bundle)
    pin = inventory.ca_cert_hash(bundle)
    return f"kubeadm join {cluster.endpoint} --token {token} --discovery-token-ca-cert-hash {pin}"


@dataclass(frozen=True, slots=True)
class MachineRoutes:
    """What a running machine needs to know of the others' pods.

    ``routes`` pairs each other machine's range with its address, ``gone`` are the ranges of machines that were removed
    from the cluster file. ``commands`` is a shell script, for root on the machine.
    """

    name: str
    address: str
    pod_cidr: str
    routes: tuple[tuple[str, str], ...]
    gone: tuple[str, ...]
    commands: str


def routes(cluster_file: Path) -> tuple[MachineRoutes, ...]:
    """Return the routes of every machine of a cluster with ``networking.plugin: bridge``, in file order.

    Raises:
        ProblemsError, InputError: the cluster file is at fault or has another plugin; there is no bundle, or it does
            not have the ranges of this cluster file.
    """
    loaded = load(cluster_file).cluster
    if loaded.networking.plugin != "bridge":
        hint = "the network plugin of this cluster makes its own"
        raise InputError(f"{cluster_file} does not have networking.plugin: bridge, so there are no routes", hint)
    path = store.path_for(cluster_file)
    bundle = existing_bundle(cluster_file)
    if pod_ranges.assign(loaded, bundle.pod_ranges, str(path)) != dict(bundle.pod_ranges):
        raise InputError(f"{path} does not have the ranges of {cluster_file} yet", f"`kgen render {cluster_file}`")
    cluster = pod_ranges.with_ranges(loaded, bundle.pod_ranges)
    present = {machine.name for machine in cluster.machines}
    gone = tuple(network for name, network in bundle.pod_ranges.items() if name not in present)
    return tuple(
        MachineRoutes(
            name=machine.name,
            address=str(machine.address),
            pod_cidr=str(machine.pod_cidr),
            routes=tuple(bridge.routes(cluster, machine)),
            gone=gone,
            commands=bridge.update(cluster, machine, gone),
        )
        for machine in cluster.machines
    )
