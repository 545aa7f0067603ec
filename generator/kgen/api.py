"""Load, render, write: what ``kgen`` does, for Python programs. Prints nothing.

>>> from pathlib import Path
>>> from kgen import api
>>> result = api.render(Path("cluster.yaml"))          # doctest: +SKIP
>>> [document.path for document in result.documents]   # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgen import __version__
from kgen.bake import needs
from kgen.bake import tree as bake_tree
from kgen.bake.recipe import Recipe
from kgen.bake.recipe import recipe as recipe_of
from kgen.bake.verify import Difference, differences
from kgen.config.load import Loaded, load
from kgen.errors import InputError, Problem
from kgen.lock import FileRecord, Section
from kgen.pipeline import DocumentInfo, Pipeline
from kgen.render import bridge
from kgen.secrets_bundle import blobs, inventory, membership, pod_ranges, selection, store
from kgen.secrets_bundle.exposure import exposure
from kgen.secrets_bundle.inventory import CertificateInfo
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import Populated, populate
from kgen.swap import Change
from kgen.writer import Comparison, Output

if TYPE_CHECKING:
    from kgen.cluster.bootstrap_token import Renewed
    from kgen.cluster.credential import Credential
    from kgen.cluster.servers import Server
    from kgen.cluster.status import Status
    from kgen.cluster.wait import Goal, Snapshot
    from kgen.config.model import BootstrapToken, Cluster

SECTION = "render"
BAKE = "bake"
DEFAULT_OUTPUT = Path("outputs")

Progress = Callable[[str, int, int], None]
"""Called with what is being made (``keys``, ``documents``), how many are done and how many there will be."""


@dataclass(frozen=True, slots=True)
class RenderResult:
    """What a render made, or with ``check`` would have made.

    ``root`` is the cluster's output directory; paths in ``documents``, ``files`` and ``changes`` are relative to it.
    ``reissued`` pairs certificates with the reason. ``bundle_is_missing`` is only true of a check, which then
    could not compute anything: ``documents`` and ``files`` are empty.
    """

    root: Path
    bundle_path: Path
    warnings: tuple[Problem, ...]
    documents: tuple[DocumentInfo, ...] = ()
    files: Mapping[str, FileRecord] | None = None
    changes: tuple[Change, ...] = ()
    reissued: tuple[tuple[str, str], ...] = ()
    bundle_is_new: bool = False
    bundle_has_changed: bool = False
    bundle_is_missing: bool = False

    @property
    def differs(self) -> bool:
        """Return whether anything on disk changed, or would change."""
        return bool(self.changes) or self.bundle_has_changed or self.bundle_is_missing


def render(
    cluster_file: Path,
    output: Path = DEFAULT_OUTPUT,
    *,
    check: bool = False,
    review: bool = False,
    new_secrets: bool = True,
    now: datetime | None = None,
    on_progress: Progress = lambda phase, done, total: None,
) -> RenderResult:
    """Render ``cluster_file`` into ``output/<cluster>``; with ``check`` only compare, and write nothing at all.

    ``review`` writes readable and review files of every machine. Without ``new_secrets`` a missing bundle is not
    created. ``now`` (aware) is when new certificates are issued. All or nothing: whatever fails, the output, and the
    bundle, are as they were.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle or a document's size is at fault.
        KgenError: the disk refuses, or another kgen is at work.
    """
    loaded = load(cluster_file)
    bundle_path = store.path_for(cluster_file)
    root = output / loaded.cluster.name
    with nullcontext() if check else store.locked(bundle_path):
        bundle = store.read(bundle_path)
        if bundle is None and check:
            return RenderResult(root, bundle_path, loaded.warnings, bundle_is_missing=True)
        if bundle is None and not new_secrets:
            raise _missing_bundle(bundle_path, "restore it from a backup, or render without --no-new-secrets")
        with nullcontext(Comparison(root, SECTION)) if check else Output(root, SECTION) as target:
            _refuse_another_cluster(target.lock.section(SECTION), bundle, root, bundle_path)
            populated = populate(
                bundle,
                loaded.cluster,
                now or datetime.now(UTC),
                progress=lambda done, total: on_progress("keys", done, total),
            )
            documents = _stage(target, Pipeline(loaded.cluster, populated.bundle), review, on_progress)
            facts = _facts(loaded, populated.bundle, documents)
            if isinstance(target, Output):
                target.prepare(facts)
                if populated.changed:
                    store.write(bundle_path, populated.bundle)
                changes = target.commit()
            else:
                changes = target.finish(facts)
        return RenderResult(
            root=root,
            bundle_path=bundle_path,
            warnings=(
                *loaded.warnings,
                *populated.warnings,
                *exposure(bundle_path),
                *_of_the_image(cluster_file, target.lock.section(BAKE), loaded.cluster),
            ),
            documents=documents,
            files=target.files,
            changes=changes,
            reissued=populated.reissued,
            bundle_is_new=bundle is None,
            bundle_has_changed=populated.changed,
        )


def _of_the_image(cluster_file: Path, baked: Section, cluster: Cluster) -> Iterator[Problem]:
    """Yield a warning for each thing that the machines need and the last bake beside the output does not have."""
    for message in needs.missing(baked.facts, cluster):
        hint = f"`kgen bake {cluster_file}`, make the image again, and start the machines from it"
        yield Problem(str(cluster_file), 0, 0, "", "K911", message, hint)


def _refuse_another_cluster(section: Section, bundle: Bundle | None, root: Path, bundle_path: Path) -> None:
    """Refuse to replace one cluster by another: a lost bundle must not silently become a new cluster."""
    recorded = section.facts.get("caFingerprint")
    if recorded is None or (bundle is not None and blobs.ca_fingerprint(bundle) == recorded):
        return
    hint = f"restore {bundle_path} from a backup; for a new cluster, move {root} away first"
    if bundle is None:
        raise _missing_bundle(bundle_path, hint, f", and {root} was rendered with one")
    raise InputError(f"{root} was rendered with another cluster CA than that of {bundle_path}", hint)


def _missing_bundle(path: Path, hint: str, addition: str = "") -> InputError:
    return InputError(f"there is no secrets bundle {path}{addition}", hint)


def _stage(target: Comparison, pipeline: Pipeline, review: bool, on_progress: Progress) -> tuple[DocumentInfo, ...]:
    """Stream everything into ``target``, one machine at a time; return what the documents are."""
    total = len(pipeline.cluster.documents)
    documents: list[DocumentInfo] = []
    for item in pipeline.artifacts(review_all=review, kept=target.kept):
        if isinstance(item, DocumentInfo):
            documents.append(item)
            on_progress("documents", len(documents), total)
        else:
            target.stage(item)
    return tuple(documents)


def _facts(loaded: Loaded, bundle: Bundle, documents: Iterable[DocumentInfo]) -> dict[str, Any]:
    """Return what the lock file says about a render (docs/reference/outputs.md)."""
    return {
        "kgen": __version__,
        "kubernetesVersion": str(loaded.cluster.kubernetes_version),
        "provider": loaded.cluster.provider,
        "caFingerprint": blobs.ca_fingerprint(bundle),
        "machines": {document.machine: describe(document) for document in documents},
    }


def describe(document: DocumentInfo) -> dict[str, Any]:
    """Return a document's facts as JSON values; ``bytes`` as the provider counts them, ``expiry`` in UTC."""
    return {
        "role": document.role,
        "pool": document.is_pool,
        "path": str(document.path),
        "bytes": document.counted_bytes,
        "limit": document.limit_bytes,
        "sha256": document.sha256,
        "encoding": document.encoding,
        "expiry": document.expiry.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


@dataclass(frozen=True, slots=True)
class BakeResult:
    """What a bake wrote, or with ``check`` would have written; ``root`` is the cluster's output directory."""

    root: Path
    recipe: Recipe
    warnings: tuple[Problem, ...]
    changes: tuple[Change, ...]


def bake(cluster_file: Path, output: Path = DEFAULT_OUTPUT, *, check: bool = False) -> BakeResult:
    """Write the recipe of the image for the machines of ``cluster_file`` to ``output/<cluster>/bake``.

    No secret is read or written. With ``check`` it only compares.

    Raises:
        ProblemsError, InputError: the cluster file is at fault.
        KgenError: the disk refuses, or another kgen is at work.
    """
    loaded = load(cluster_file)
    made = recipe_of(loaded.cluster)
    root = output / loaded.cluster.name
    with nullcontext(Comparison(root, BAKE)) if check else Output(root, BAKE) as target:
        for artifact in bake_tree.artifacts(made):
            target.stage(artifact)
        facts = {"kgen": __version__, **needs.facts(made, loaded.cluster.kubernetes_version)}
        if isinstance(target, Output):
            target.prepare(facts)
            changes = target.commit()
        else:
            changes = target.finish(facts)
    return BakeResult(root, made, loaded.warnings, changes)


def verify_image(cluster_file: Path, root: Path) -> tuple[Difference, ...]:
    """Return what is different at ``root``, an image's tree or ``/``, from the recipe of ``cluster_file``.

    Raises:
        ProblemsError, InputError: the cluster file is at fault, or ``root`` holds no system.
        KgenError: the disk refuses.
    """
    return tuple(differences(root, recipe_of(load(cluster_file).cluster)))


def container_images(cluster_file: Path) -> tuple[str, ...]:
    """Return the references of all container images of the cluster's machines.

    Raises:
        ProblemsError, InputError: the cluster file is at fault.
    """
    return recipe_of(load(cluster_file).cluster).container_images


def save_container_images(
    cluster_file: Path,
    directory: Path,
    sources: Sequence[Path] = (),
    *,
    on_progress: Callable[[str, str], None] = lambda image, what: None,
) -> tuple[str, ...]:
    """Put an archive of each of the cluster's container images into ``directory``, with a manifest of checksums.

    Raises:
        ProblemsError, InputError: the cluster file is at fault, or there is nothing to save an image with.
        KgenError: a registry or the disk refuses.
    """
    from kgen.bake import archives

    images = container_images(cluster_file)
    archives.save(images, directory, sources, on_progress)
    return images


def pull_container_images(
    cluster_file: Path, *, on_progress: Callable[[str, str], None] = lambda image, what: None
) -> tuple[str, ...]:
    """Pull the cluster's container images into this machine's runtime.

    Raises:
        ProblemsError, InputError: the cluster file is at fault, or there is no runtime.
        KgenError: a registry refuses.
    """
    from kgen.bake import archives

    images = container_images(cluster_file)
    archives.pull(images, on_progress)
    return images


def certificates(cluster_file: Path) -> tuple[CertificateInfo, ...]:
    """Return every certificate in the bundle of ``cluster_file``; the cluster file itself is not read.

    Raises:
        InputError: there is no bundle, or a certificate in it is damaged.
    """
    path = store.path_for(cluster_file)
    bundle = store.read(path)
    if bundle is None:
        raise _missing_bundle(path, f"`kgen render {cluster_file}` creates it")
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
        bundle = store.read(path)
        if bundle is None:
            raise _missing_bundle(path, f"`kgen render {cluster_file}` creates it")
        populated = populate(bundle, cluster, now or datetime.now(UTC), renew=chosen)
        store.write(path, populated.bundle)
    return populated


def wait(
    cluster_file: Path,
    *,
    goal: Goal = "ready",
    timeout: timedelta = timedelta(minutes=15),
    only: Collection[str] = (),
    server: str = "",
    on_snapshot: Callable[[Snapshot], None] = lambda snapshot: None,
) -> Snapshot:
    """Wait until the listed machines, or those of ``only``, are Ready or registered; return what was seen last.

    ``server`` is asked instead of the cluster's endpoint and its masters' addresses.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle, an argument or the endpoint is at fault.
        KgenError: the time is up.
    """
    from kgen.cluster import wait as waiting

    view = _outside(cluster_file, server)
    return waiting.wait(
        view.cluster, view.credential, view.servers, goal=goal, timeout=timeout, only=only, on_snapshot=on_snapshot
    )


def status(cluster_file: Path, *, server: str = "") -> Status:
    """Return what the running cluster is, and where it differs from the cluster file.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle, an argument or the endpoint is at fault.
        KgenError: the cluster cannot be reached, or refuses.
    """
    from kgen.cluster import status as looking
    from kgen.cluster.connection import connect

    view = _outside(cluster_file, server)
    found = connect(view.servers, view.credential)
    return looking.status(view.cluster, view.bundle, found.connection, found.obstacle, datetime.now(UTC))


def renew_token(cluster_file: Path, *, ttl: timedelta | None = None, server: str = "") -> Renewed:
    """Publish the bundle's first bootstrap token, which all documents carry, again; ``ttl`` as in the cluster file.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle, an argument or the endpoint is at fault.
        KgenError: the cluster cannot be reached, or refuses.
    """
    from kgen.cluster import bootstrap_token
    from kgen.cluster.connection import connect

    view = _outside(cluster_file, server)
    settings, token = _first_token(view.cluster, view.bundle)
    connection = connect(view.servers, view.credential).connection
    wanted = settings.ttl if ttl is None else ttl
    patience = bootstrap_token.SIGNER_SECONDS
    return bootstrap_token.renew(connection, settings, token, datetime.now(UTC), wanted, patience)


@dataclass(frozen=True, slots=True)
class _Outside:
    """What it takes to look at the running cluster: what it shall be, a credential, and where to ask."""

    cluster: Cluster
    bundle: Bundle
    credential: Credential
    servers: tuple[Server, ...]


def _outside(cluster_file: Path, server: str) -> _Outside:
    from kgen.cluster.credential import credential
    from kgen.cluster.servers import candidates

    cluster = load(cluster_file).cluster
    path = store.path_for(cluster_file)
    bundle = store.read(path)
    if bundle is None:
        raise _missing_bundle(path, f"`kgen render {cluster_file}` creates it")
    membership.refuse_other_masters(bundle, cluster)
    return _Outside(cluster, bundle, credential(bundle, datetime.now(UTC)), candidates(cluster, server))


def _first_token(cluster: Cluster, bundle: Bundle) -> tuple[BootstrapToken, str]:
    if not bundle.tokens or not cluster.bootstrap_tokens:
        raise InputError("the cluster has no bootstrap token", "add one to bootstrapTokens and render")
    return cluster.bootstrap_tokens[0], bundle.tokens[0]


def join_command(cluster_file: Path) -> str:
    """Return the stock ``kubeadm join`` line of a node, with the first bootstrap token.

    Raises:
        ProblemsError, InputError: the cluster file is at fault, or there is no bundle or no token.
    """
    cluster = load(cluster_file).cluster
    path = store.path_for(cluster_file)
    bundle = store.read(path)
    if bundle is None:
        raise _missing_bundle(path, f"`kgen render {cluster_file}` creates it")
    _, token = _first_token(cluster, bundle)
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
    bundle = store.read(path)
    if bundle is None:
        raise _missing_bundle(path, f"`kgen render {cluster_file}` creates it")
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
