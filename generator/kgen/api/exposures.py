"""The report of every secret of a cluster: where it lies, who can read it there, what it is good for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from kgen.api import image, rendering
from kgen.api.bundle import existing_bundle
from kgen.api.publishing import SEALED, published_files, published_machines, recorded_bucket, url_of
from kgen.config.load import load
from kgen.errors import Problem
from kgen.exposing import places
from kgen.exposing.kinds import PLACE_KINDS, PlaceKind
from kgen.exposing.places import Place, Secret
from kgen.exposing.readers import readers
from kgen.lab import state
from kgen.model import Cluster
from kgen.output import lock
from kgen.output.disk import disk_errors
from kgen.pipeline import Pipeline
from kgen.secrets_bundle import exposure, store
from kgen.secrets_bundle.populate import populate


@dataclass(frozen=True, slots=True)
class ExposureReport:
    """Every secret with its places. ``readers`` says who can read each kind of place."""

    root: Path
    provider: str
    warnings: tuple[Problem, ...]
    secrets: tuple[tuple[Secret, tuple[Place, ...]], ...]
    readers: dict[PlaceKind, str]

    @property
    def kinds(self) -> frozenset[PlaceKind]:
        """Return the kinds of places that hold a secret."""
        return frozenset(place.kind for _, found in self.secrets for place in found)


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
        for name, pool in seeds.facts.get("members", {}).items():
            members.setdefault(pool, []).append(name)
    found = places.secrets(loaded.cluster, bundle)
    reviewed = places.reviewed_in(loaded.cluster, recorded.section(rendering.SECTION).files)
    lies: dict[str, dict[Place, None]] = {name: {} for name in found}
    for name, secret in found.items():
        kind: PlaceKind = "clusterFile" if secret.is_given else bundle_kind
        lies[name][Place(kind, str(cluster_file if secret.is_given else bundle_path))] = None
    published = _published(root, loaded.cluster)
    pipeline = Pipeline(loaded.cluster, bundle)
    for name, place in places.places(pipeline, found, reviewed, members, published, _lab(root)):
        lies[name][place] = None
    report = tuple((found[name], tuple(listed)) for name, listed in lies.items())
    kinds = [kind for kind in PLACE_KINDS if any(place.kind == kind for _, listed in report for place in listed)]
    return ExposureReport(
        root,
        loaded.cluster.provider,
        (*loaded.warnings, *exposure.exposure(bundle_path)),
        report,
        {kind: readers(kind, loaded.cluster) for kind in kinds},
    )


def _lab(root: Path) -> places.Lab | None:
    """Return the files of the lab below ``root``; None if there is no lab."""
    lab = state.load(root / state.DIRECTORY)
    if lab is None:
        return None
    machines: dict[str, list[str]] = {}
    for machine in lab.machines:
        machines.setdefault(machine.pool or machine.name, []).append(machine.name)
    return places.Lab(PurePosixPath(state.DIRECTORY, state.KUBECONFIG), machines)


def _published(root: Path, cluster: Cluster) -> places.Published:
    """Return what may be in the bucket, by machine. Who has a stub does not get the whole document as user-data."""
    facts = recorded_bucket(root)
    keys: dict[str, list[str]] = {}
    for key in facts.get("objects", ()):
        *_, machine, _ = key.split("/")
        keys.setdefault(machine, []).append(key)
    everyone = frozenset(machine.name for machine in cluster.documents)
    machines = everyone if cluster.secrets_by_reference else published_machines(root)
    sealed = frozenset(facts.get(SEALED, ()))
    return places.Published(url_of(facts) if facts else "", keys, sealed, machines, published_files(root))
