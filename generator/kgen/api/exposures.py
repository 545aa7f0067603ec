"""The report of every secret of a cluster: where it lies, who can read it there, what it is good for."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from kgen.api import image, published, rendering
from kgen.api.bundle import existing_bundle
from kgen.api.seeds import members_in
from kgen.config.load import load
from kgen.emitters.contract import DocumentInfo
from kgen.emitters.limits import DocumentTooLargeError
from kgen.emitters.stub import DIRECTORY, object_key
from kgen.errors import Problem, command
from kgen.exposing import places
from kgen.exposing.kinds import PLACE_KINDS, PlaceKind
from kgen.exposing.places import Place, Secret
from kgen.exposing.readers import readers
from kgen.facts.providers import may_have_role
from kgen.lab import state
from kgen.lab.qemu import SEED
from kgen.model import Cluster
from kgen.output import lock
from kgen.output.disk import disk_errors
from kgen.pipeline import Pipeline
from kgen.secrets_bundle import exposure, store
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import populate
from kgen.user_data.document import UNATTACHED


@dataclass(frozen=True, slots=True)
class ExposureReport:
    """Every secret with its places. ``readers`` says who can read each kind of place.

    ``outdated`` has, by kind of place, the files with documents that kgen would not write like this now: they may hold
    other secrets than those that are listed.
    """

    root: Path
    provider: str
    warnings: tuple[Problem, ...]
    secrets: tuple[tuple[Secret, tuple[Place, ...]], ...]
    readers: dict[PlaceKind, str]
    outdated: dict[PlaceKind, tuple[str, ...]]

    @property
    def kinds(self) -> frozenset[PlaceKind]:
        """Return the kinds of places that hold a secret, or may hold one."""
        return frozenset(place.kind for _, found in self.secrets for place in found) | self.outdated.keys()


def exposures(cluster_file: Path, output: Path = image.DEFAULT_OUTPUT) -> ExposureReport:
    """Return where the secrets of ``cluster_file`` lie: as a render writes them, and in seeds and lab of ``output``.

    Nothing is written. The report holds no secret.

    Raises:
        ProblemsError, InputError: the cluster file or the bundle is wrong.
        KgenError: the lock file of the output or the lab's state is damaged, or the disk refuses.
    """
    loaded = load(cluster_file)
    bundle_path = store.path_for(cluster_file)
    bundle = populate(existing_bundle(cluster_file), loaded.cluster, datetime.now(UTC)).bundle
    encryption = store.encryption_of(store.content(bundle_path) or b"")
    bundle_kind: PlaceKind = "bundle" if encryption == "none" else "encryptedBundle"
    root = output / loaded.cluster.name
    with disk_errors(root):
        recorded = lock.read(root)
    seeds = recorded.section(rendering.SEED_SECTION)
    members: dict[str, list[str]] | None = None
    if seeds.files:
        members = {}
        for name, pool in members_in(recorded, root).items():
            members.setdefault(pool, []).append(name)
    found = places.secrets(loaded.cluster, bundle)
    reviewed = places.reviewed_in(loaded.cluster, recorded.section(rendering.SECTION).files)
    lies: dict[str, dict[Place, None]] = {name: {} for name in found}
    for name, secret in found.items():
        kind: PlaceKind = "clusterFile" if secret.is_given else bundle_kind
        lies[name][Place(kind, str(cluster_file if secret.is_given else bundle_path))] = None
    everyone = [machine.name for machine in loaded.cluster.documents]
    current = published.current(loaded.cluster, bundle, root, everyone)
    facts, files = published.recorded_bucket(root), published.files(root)
    old = [*_of_before(facts, files, current)]
    there = _published(root, loaded.cluster, facts, files.difference(path for _, path in old))
    pipeline = Pipeline(loaded.cluster, bundle)
    lab = state.load(root / state.DIRECTORY)
    for name, place in places.places(pipeline, found, reviewed, members, there, _places_of(lab)):
        lies[name][place] = None
    report = tuple((found[name], tuple(listed)) for name, listed in lies.items())
    kinds = [kind for kind in PLACE_KINDS if any(place.kind == kind for _, listed in report for place in listed)]
    outdated: dict[PlaceKind, tuple[str, ...]] = {}
    stubs = {hashlib.sha256(each.stub).hexdigest() for each in current.values()}
    of_render = _outdated(root, loaded.cluster, bundle, recorded, members or {}, there.machines, stubs, lab)
    for kind, path in (*of_render, *old):
        outdated[kind] = (*outdated.get(kind, ()), path)
    return ExposureReport(
        root,
        loaded.cluster.provider,
        (*loaded.warnings, *exposure.exposure(bundle_path), *_warnings(root, cluster_file, loaded.cluster, outdated)),
        report,
        {kind: readers(kind, loaded.cluster) for kind in kinds},
        outdated,
    )


def _outdated(
    root: Path,
    cluster: Cluster,
    bundle: Bundle,
    recorded: lock.Lock,
    members: Mapping[str, Sequence[str]],
    with_stubs: frozenset[str],
    stubs: Collection[str],
    lab: state.Lab | None,
) -> Iterator[tuple[PlaceKind, str]]:
    """Yield kind and path of each file with a document that is another one now. ``stubs``: the sha256 of present stubs.

    Raises:
        KgenError: the lock file has other facts than kgen writes.
    """
    rendered, seeds = (recorded.section(name) for name in (rendering.SECTION, rendering.SEED_SECTION))
    if not rendered.files and not seeds.files and lab is None:
        return
    named = {pool: [*names] for pool, names in members.items()}
    for machine in lab.machines if lab else ():
        named.setdefault(machine.pool, []).append(machine.name)
    known = {digest for each in bundle.rendered_as for digest in _digests(cluster, each, named)}
    in_seeds = stubs if cluster.secrets_by_reference else known
    try:
        for name, facts in rendered.facts.get("machines", {}).items():
            if facts["sha256"] not in known:
                yield _kind(cluster, name, facts["path"], with_stubs), facts["path"]
    except lock.MALFORMED as error:
        raise lock.damaged(root / lock.FILE_NAME, root) from error
    for path, record in seeds.files.items():
        if PurePosixPath(path).name == "user-data" and record.sha256 not in in_seeds:
            yield "seeds", path
    for machine in lab.machines if lab else ():
        if machine.document not in known:
            yield "lab", str(PurePosixPath(state.DIRECTORY, machine.name, SEED))


def _kind(cluster: Cluster, machine: str, path: str, with_stubs: Collection[str]) -> PlaceKind:
    """Return the kind of a document of an earlier render: nobody attaches those of machines with stubs."""
    has_stub = machine in with_stubs and not cluster.secrets_by_reference
    return "documents" if has_stub or PurePosixPath(path).parent == UNATTACHED else "userData"


def _of_before(
    facts: Mapping[str, Any], files: Collection[str], current: Mapping[str, published.Current]
) -> Iterator[tuple[PlaceKind, str]]:
    """Yield kind and path of each of the published ``files`` that is not what `kgen publish` would write now."""
    keys = {each.key for each in current.values()} | {*facts.get(published.SEALED, ())}
    for path in sorted(files):
        key = object_key(PurePosixPath(path))
        if key and key not in keys:
            yield "documents", path
        elif not key and PurePosixPath(path).name.removesuffix(".gz").removesuffix(".yaml") not in current:
            yield "userData", path


def _digests(cluster: Cluster, bundle: Bundle, named: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the sha256 of each document and seed that kgen writes now; ``named`` are the named machines of pools."""
    pipeline = Pipeline(cluster, bundle)
    with suppress(DocumentTooLargeError):
        for made in pipeline.machine_artifacts(
            pipeline.cluster.documents, review_all=False, kept=lambda path, text: text
        ):
            if isinstance(made, DocumentInfo):
                yield made.sha256
    pipeline = Pipeline(replace(cluster, provider="nocloud"), bundle)
    seed_files = pipeline.seed_files()
    for machine in pipeline.cluster.documents:
        for name in ("", *(named.get(machine.name, ()) if machine.is_pool else ())):
            yield hashlib.sha256(seed_files(machine, name)["user-data"]).hexdigest()


def _warnings(
    root: Path, cluster_file: Path, cluster: Cluster, outdated: Mapping[PlaceKind, Sequence[str]]
) -> Iterator[Problem]:
    for kind, paths in outdated.items():
        more = f", and {len(paths) - 1:,} more of such files," if len(paths) > 1 else ""
        message = f"this file{more} would be another one now: it may hold secrets that are not in the report"
        if kind == "lab":
            hint = "run `kgen lab down`, and `kgen lab up` again"
        else:
            hint = "run " + ", then ".join(f"`{each}`" for each in _again(root, cluster_file, cluster, kind, paths[0]))
        yield Problem(str(root / paths[0]), 0, 0, "", "K943", message, hint)


def _again(root: Path, cluster_file: Path, cluster: Cluster, kind: PlaceKind, path: str) -> Iterator[str]:
    """Yield the commands that write an outdated file again. A seed by reference holds what is published."""
    is_published = PurePosixPath(path).is_relative_to(DIRECTORY)
    if is_published or (kind == "seeds" and cluster.secrets_by_reference):
        yield published.publish_command(cluster_file, root, cluster.provider)
    if not is_published:
        yield command("seed" if kind == "seeds" else "render", cluster_file, output=root.parent)


def _places_of(lab: state.Lab | None) -> places.Lab | None:
    """Return the files of the lab; None if there is no lab."""
    if lab is None:
        return None
    machines: dict[str, list[str]] = {}
    for machine in lab.machines:
        machines.setdefault(machine.pool or machine.name, []).append(machine.name)
    return places.Lab(PurePosixPath(state.DIRECTORY, state.KUBECONFIG), machines)


def _published(root: Path, cluster: Cluster, facts: Mapping[str, Any], files: frozenset[str]) -> places.Published:
    """Return what may be in the bucket, by machine. Who has a stub does not get the whole document as user-data.

    ``facts`` are those of ``published.recorded_bucket``, ``files`` those on this disk that are of present contents.
    """
    keys: dict[str, list[str]] = {}
    for key in facts.get("objects", ()):
        *_, machine, _ = key.split("/")
        keys.setdefault(machine, []).append(key)
    # As `kgen attach` gives them out: at AWS, only machines of EC2 have a role.
    can_fetch = facts.get("to") == "serve" or may_have_role(cluster.provider)
    machines = published.machines(root) if can_fetch else frozenset()
    if cluster.secrets_by_reference:
        machines = frozenset(machine.name for machine in cluster.documents)
    sealed = frozenset(facts.get(published.SEALED, ()))
    at_aws = published.url_of(facts) if facts and facts["to"] != "serve" else ""
    return places.Published(at_aws, keys, sealed, machines, files)
