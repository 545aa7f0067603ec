"""NoCloud seeds of a cluster's machines, as directories and as disk images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from kgen import __version__
from kgen.api import image, published, rendering
from kgen.api.bundle import current_bundle
from kgen.config import values
from kgen.config.load import load
from kgen.emitters.seed import DIRECTORY
from kgen.errors import InputError, Problem
from kgen.facts.providers import may_have_role
from kgen.model import Cluster
from kgen.output import lock
from kgen.output.disk import disk_errors
from kgen.output.swap import Change
from kgen.output.writer import Output
from kgen.pipeline import Pipeline
from kgen.reader.kinds import Invalid
from kgen.secrets_bundle import store


@dataclass(frozen=True, slots=True)
class Seed:
    """One seed. Paths are relative to the cluster's output directory.

    ``pool`` is the pool whose document it has, empty for a listed machine. ``is_template`` is true for the seed of a
    pool itself, which gives a machine no name. ``mac``, ``serial`` and ``uuid`` are the cluster file's.
    """

    name: str
    pool: str
    is_template: bool
    directory: PurePosixPath
    iso: PurePosixPath
    iso_bytes: int
    has_network_config: bool
    mac: str = ""
    serial: str = ""
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """The seeds of a cluster; with ``check``, what would have been written. ``root`` is its output directory.

    ``has_secrets``: the seeds hold keys and tokens, and neither stubs nor sealed payloads.
    """

    root: Path
    warnings: tuple[Problem, ...]
    seeds: tuple[Seed, ...]
    changes: tuple[Change, ...]
    has_secrets: bool


def seed(
    cluster_file: Path,
    output: Path = image.DEFAULT_OUTPUT,
    *,
    pool: str = "",
    names: Iterable[str] = (),
    drop: Iterable[str] = (),
    check: bool = False,
) -> SeedResult:
    """Write a NoCloud seed for each machine and pool of ``cluster_file`` to ``output/<cluster>/seed``.

    ``names`` are machines of ``pool``: each gets a seed with its name, now and at every later call, until it is in
    ``drop``. With ``check`` it only compares.

    With ``userData: {secrets: byReference}`` a seed holds the stub that ``publish`` wrote.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle or a name is wrong, the bundle is not up to date, or
            a machine has no stub that is up to date.
        KgenError: the disk refuses, or another kgen is at work.
    """
    loaded = load(cluster_file)
    bundle = current_bundle(cluster_file, loaded.cluster, output)
    root = output / loaded.cluster.name
    # A seed has no limit of size, and cloud-init takes plain text from it.
    cluster = replace(loaded.cluster, provider="nocloud")
    stubs = None
    warnings = loaded.warnings
    if cluster.secrets_by_reference:
        without = _without_stub(cluster_file, loaded.cluster, root, pool)
        warnings += tuple(
            Problem(str(cluster_file), 0, 0, "", "K944", published.no_stub(name), published.NO_STUB_HINT)
            for name in without
        )
        wanted = [each.name for each in cluster.documents if each.name not in without]
        stubs = published.stubs(cluster_file, loaded.cluster, output, wanted)
    with Output(root, rendering.SEED_SECTION, check=check) as target:
        recorded = target.lock.section(rendering.SECTION)
        rendering.refuse_another_cluster(recorded, bundle, root, store.path_for(cluster_file), cluster_file)
        pool_of = _members(target, cluster, pool, tuple(names), tuple(drop))
        members = {each.name: [name for name, of in pool_of.items() if of == each.name] for each in cluster.pools}
        for artifact in Pipeline(cluster, bundle).seeds(members, stubs):
            target.stage(artifact)
        target.prepare({"kgen": __version__, "members": pool_of})
        seeds = tuple(_seeds(cluster, pool_of, target.files))
        return SeedResult(root, warnings, seeds, target.commit(), cluster.user_data_secrets == "embedded")


def _without_stub(cluster_file: Path, cluster: Cluster, root: Path, pool: str) -> tuple[str, ...]:
    """Return the pools that have no stub where the cluster is published.

    Raises:
        InputError: ``pool`` is one, or machines of the provider cannot fetch from there.
        KgenError: the lock file is damaged.
    """
    place = published.recorded_bucket(root).get("to", "")
    if place not in ("", "serve") and not may_have_role(cluster.provider):
        raise InputError(published.no_role(cluster.provider), published.serve_hint(cluster_file, root.parent))
    without = tuple(it.name for it in cluster.pools) if place == "serve" else ()
    if pool in without:
        raise InputError(published.no_stub(pool), published.NO_STUB_HINT)
    return without


def recorded_members(root: Path) -> Mapping[str, str]:
    """Return the named machines of pools that have a seed in ``root``, each with its pool.

    Raises:
        KgenError: the lock file is damaged, or the disk refuses.
    """
    with disk_errors(root):
        return members_in(lock.read(root), root)


def members_in(found: lock.Lock, root: Path) -> Mapping[str, str]:
    """Return what ``recorded_members`` returns, from the lock file of ``root``.

    Raises:
        KgenError: it has other facts than kgen writes.
    """
    recorded = found.section(rendering.SEED_SECTION).facts.get("members", {})
    if not isinstance(recorded, dict):
        raise lock.damaged(root / lock.FILE_NAME, root)
    return recorded


def _members(
    target: Output, cluster: Cluster, pool: str, names: tuple[str, ...], drop: tuple[str, ...]
) -> dict[str, str]:
    """Return the named machines of pools, each with its pool: those of earlier calls, with ``names``, without ``drop``.

    Raises:
        InputError: there is no such pool, or a name cannot be used.
        KgenError: the lock file has other facts than kgen writes.
    """
    pools = [each.name for each in cluster.pools]
    listed = {each.name for each in cluster.documents}
    recorded = members_in(target.lock, target.root)
    if names and pool not in pools:
        raise InputError(f"there is no pool {pool!r}", f"the pools are: {', '.join(pools) or '(none)'}")
    for name in names:
        try:
            values.node_name(name)
        except Invalid as wrong:
            raise InputError(wrong.message, wrong.hint) from None
        if name in listed:
            raise InputError(f"{name} is a machine or pool of the cluster file", "use another name")
        if recorded.get(name, pool) != pool and name not in drop:
            raise InputError(f"{name} is a machine of the pool {recorded[name]}", f"`--drop {name}` removes it there")
    if unknown := [name for name in drop if name not in recorded]:
        known = ", ".join(recorded) or "(none)"
        raise InputError(f"there is no seed of a pool's machine {unknown[0]!r}", f"the names are: {known}")
    kept = {name: of for name, of in recorded.items() if name not in (*drop, *listed) and of in pools}
    return dict(sorted((kept | dict.fromkeys(names, pool)).items()))


def _seeds(cluster: Cluster, pool_of: Mapping[str, str], files: Mapping[str, lock.FileRecord]) -> Iterable[Seed]:
    for machine in cluster.documents:
        own = [machine.name, *(name for name, of in pool_of.items() if of == machine.name)]
        for name in own if machine.is_pool else own[:1]:
            iso = DIRECTORY / f"{name}.iso"
            if str(iso) not in files:  # a pool without a stub
                continue
            yield Seed(
                name=name,
                pool=machine.name if machine.is_pool else "",
                is_template=machine.is_pool and name == machine.name,
                directory=DIRECTORY / name,
                iso=iso,
                iso_bytes=files[str(iso)].size,
                has_network_config=str(DIRECTORY / name / "network-config") in files,
                mac=machine.mac,
                serial=machine.serial,
                uuid=machine.uuid,
            )
