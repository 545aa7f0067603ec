"""Answers that need only the secrets bundle: certificates, the join command, routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from kgen.config.load import load
from kgen.content import bridge
from kgen.errors import InputError, Problem, command
from kgen.model import BootstrapToken, Cluster
from kgen.output import disk
from kgen.pki.plan import Request
from kgen.secrets_bundle import advice, encryption, inventory, pod_ranges, selection, store
from kgen.secrets_bundle.inventory import CertificateInfo
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import Populated, populate
from kgen.secrets_bundle.source import Source


def missing_bundle(path: Path, hint: str, addition: str = "") -> InputError:
    """Return the error for a missing bundle."""
    return InputError(f"there is no secrets bundle {path}{addition}", hint)


def existing_bundle(cluster_file: Path) -> Bundle:
    """Return the bundle of ``cluster_file``.

    Raises:
        InputError: there is none; a render makes it.
    """
    path = store.path_for(cluster_file)
    bundle = store.read(path)
    if bundle is None and not cluster_file.exists():
        hint = "give the path of your cluster file; `kgen init` writes one to start from"
        raise InputError(f"there is neither a cluster file {cluster_file} nor a secrets bundle {path}", hint)
    if bundle is None:
        raise missing_bundle(path, f"`{command('render', cluster_file)}` creates it")
    return bundle


def current_bundle(cluster_file: Path, cluster: Cluster, output: Path) -> Bundle:
    """Return the bundle of ``cluster_file``, which has everything that ``cluster`` needs.

    ``output`` is where the cluster was rendered.

    Raises:
        InputError: there is none, or a render must first add to it.
    """
    populated = populate(existing_bundle(cluster_file), cluster, datetime.now(UTC))
    if populated.changed:
        message = f"{store.path_for(cluster_file)} does not have everything that {cluster_file} needs"
        raise InputError(message, f"run `{command('render', cluster_file, output=output)}` and review what changed")
    return populated.bundle


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


def expiry_warnings(cluster_file: Path, now: datetime) -> tuple[Problem, ...]:
    """Return the warnings about certificates in the bundle that have expired at ``now`` or expire within 30 days.

    Raises:
        InputError: there is no bundle.
    """
    return tuple(advice.expiries(existing_bundle(cluster_file), now))


def renew(cluster_file: Path, names: Iterable[str] = (), *, now: datetime | None = None) -> Populated:
    """Issue leaf certificates again and write the bundle. ``names`` as in ``kgen certs renew``; none: all leaves.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle or a name is wrong; nothing was written.
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


@dataclass(frozen=True, slots=True)
class AcceptedCertificates:
    """The outcome of ``accept``.

    ``names`` are the certificates, keys and ``sa`` that the bundle did not have before; ``made`` the CAs that kgen made
    beside them, because the bundle is new; ``missing`` maps each certificate that must still be signed to the reason.
    """

    populated: Populated
    names: tuple[str, ...]
    made: tuple[str, ...]
    path: Path

    @property
    def missing(self) -> Mapping[str, str]:
        """Return the certificates that a CA outside has not signed yet, each with the reason."""
        return self.populated.missing


def accept(cluster_file: Path, directory: Path, *, now: datetime | None = None) -> AcceptedCertificates:
    """Take certificates and keys from the files of ``directory`` into the bundle of ``cluster_file``, or make one.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle or a file is wrong; nothing was written.
        KgenError: the disk refuses, or another kgen is at work.
    """
    from kgen.secrets_bundle import accept as accepting  # late: cryptography is slow to import

    cluster = load(cluster_file).cluster
    path = store.path_for(cluster_file)
    now = now or datetime.now(UTC)
    with store.locked(path):
        accepted = accepting.accept(directory, cluster, store.read(path), now)
        populated = populate(accepted.bundle, cluster, now, may_lack=True)
        store.write(path, populated.bundle)
    return AcceptedCertificates(populated, accepted.names, accepted.made, path)


def rotate_encryption(cluster_file: Path, *, rewritten: bool = False) -> encryption.Stage:
    """Take the next step of a rotation of the encryption keys and write the bundle.

    ``rewritten``: everything in etcd was written again with the newest key, so that the others can be removed.

    Raises:
        ProblemsError, InputError: the cluster file or the bundle is wrong, or there is no next step.
        KgenError: the disk refuses, or another kgen is at work.
    """
    cluster = load(cluster_file).cluster
    path = store.path_for(cluster_file)
    with store.locked(path):
        bundle = populate(existing_bundle(cluster_file), cluster, datetime.now(UTC), may_lack=True).bundle
        stage = encryption.rotate(cluster, bundle.encryption_keys, Source(), rewritten=rewritten)
        store.write(path, replace(bundle, encryption_keys=stage.keys))
    return stage


def signing_requests(
    cluster_file: Path, directory: Path, names: Iterable[str] = (), *, now: datetime | None = None
) -> tuple[tuple[Request, Path], ...]:
    """Write a request for each certificate that a CA outside has to sign, and for ``names``; return them with the file.

    The private keys are new, or those of earlier requests, and stay in the bundle.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle or a name is wrong; nothing was written.
        KgenError: the disk refuses, or another kgen is at work.
    """
    from kgen.secrets_bundle import requesting  # late: as above

    cluster = load(cluster_file).cluster
    path = store.path_for(cluster_file)
    chosen = selection.leaves(cluster, names) if (names := tuple(names)) else frozenset()
    with store.locked(path):
        accept, render = command("certs accept", cluster_file, "DIR"), command("render", cluster_file)
        hint = f"`{accept}` makes it from your CA, `{render}` with its own"
        bundle = store.read(path)
        if bundle is None:
            raise missing_bundle(path, hint)
        populated = populate(bundle, cluster, now or datetime.now(UTC), may_lack=True)
        made = requesting.requests(populated.bundle, cluster, {*populated.missing, *chosen})
        store.write(path, made.bundle)
    written = []
    for request, text in made.texts:
        file = directory / f"{request.name}.csr"
        with disk.disk_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            disk.replace_file(file, text.encode(), 0o644)
        written.append((request, file))
    return tuple(written)


def first_token(cluster: Cluster, bundle: Bundle) -> tuple[BootstrapToken, str]:
    """Return settings and text of the bootstrap token in all documents.

    Raises:
        InputError: there is none.
    """
    if not bundle.tokens or not cluster.bootstrap_tokens:
        raise InputError("the cluster has no bootstrap token", "add one to bootstrapTokens and render")
    return cluster.bootstrap_tokens[0], bundle.tokens[0]


def join_command(cluster_file: Path) -> str:
    """Return the stock ``kubeadm join`` line of a node, with the first bootstrap token.

    Raises:
        ProblemsError, InputError: the cluster file is wrong, or there is no bundle or no token.
    """
    cluster = load(cluster_file).cluster
    bundle = existing_bundle(cluster_file)
    _, token = first_token(cluster, bundle)
    pin = inventory.ca_cert_hash(bundle)
    return f"kubeadm join {cluster.endpoint} --token {token} --discovery-token-ca-cert-hash {pin}"


@dataclass(frozen=True, slots=True)
class MachineRoutes:
    """The routes of one running machine to the pods of the others.

    ``routes`` pairs each other machine's range with its address. ``gone`` has the ranges of machines that were removed
    from the cluster file. ``commands`` is a shell script for root on the machine.
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
        ProblemsError, InputError: the cluster file is wrong or has another plugin; there is no bundle, or it does not
            have the ranges of this cluster file.
    """
    loaded = load(cluster_file).cluster
    if loaded.networking.plugin != "bridge":
        hint = "the network plugin of this cluster sets its own routes"
        raise InputError(f"{cluster_file} does not have networking.plugin: bridge, so there are no routes", hint)
    path = store.path_for(cluster_file)
    bundle = existing_bundle(cluster_file)
    if pod_ranges.assign(loaded, bundle.pod_ranges, str(path)) != dict(bundle.pod_ranges):
        hint = f"run `{command('render', cluster_file)}`"
        raise InputError(f"{path} does not have the ranges of {cluster_file} yet", hint)
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
