"""The steps of a render, in order: load, lock, populate, stage, write the bundle, commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from kgen import __version__
from kgen.api import image
from kgen.api.bundle import existing_bundle, missing_bundle
from kgen.bake import needs
from kgen.config.load import Loaded, load
from kgen.emitters.contract import DocumentInfo
from kgen.errors import InputError, Problem, command
from kgen.facts.versions import parse_version
from kgen.firstboot import payload_json
from kgen.firstboot.apply_script import script
from kgen.model import Cluster, Machine, Networking
from kgen.output import lock
from kgen.output.artifacts import Artifact
from kgen.output.lock import FileRecord, Section
from kgen.output.swap import Change
from kgen.output.writer import Output
from kgen.pipeline import Pipeline
from kgen.secrets_bundle import blobs, store
from kgen.secrets_bundle.exposure import exposure
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import populate

SECTION = "render"
SEED_SECTION = "seed"

Progress = Callable[[str, int, int], None]
"""Called with what is being made (``keys``, ``documents``), how many are done and how many there will be."""

_FIXED: Mapping[str, Callable[[Networking], object]] = {
    "serviceSubnet": lambda networking: networking.service_subnets,
    "podSubnet": lambda networking: networking.pod_subnets,
    "dnsDomain": lambda networking: networking.dns_domain,
}
"""Fields of ``networking`` that a running cluster keeps: Services, Nodes, certificates and pods hold the old value."""


@dataclass(frozen=True, slots=True)
class RenderResult:
    """The result of a render; with ``check``, what it would have made.

    ``root`` is the cluster's output directory; paths in ``documents``, ``files`` and ``changes`` are relative to it.
    ``reissued`` pairs certificates with the reason. ``earlier`` has the sha256 of each machine's document in the last
    render, and is empty for the first. ``discarded`` is the fingerprint of the cluster CA that ``new_cluster``
    replaced, ``old_bundle`` where its bundle is kept. ``has_seeds``: there are seeds. ``has_run``: kgen
    has seen the cluster run. ``new_tokens`` are the pools that got a token of their own.
    ``by_reference``: machines get stubs. ``seals``: their payloads are sealed.
    ``bundle_is_missing`` is only true of a check, which then could not compute anything: ``documents`` and ``files``
    are empty.
    """

    root: Path
    bundle_path: Path
    warnings: tuple[Problem, ...]
    documents: tuple[DocumentInfo, ...] = ()
    files: Mapping[str, FileRecord] | None = None
    changes: tuple[Change, ...] = ()
    reissued: tuple[tuple[str, str], ...] = ()
    earlier: Mapping[str, str] = field(default_factory=dict)
    has_bridge: bool = False
    has_seeds: bool = False
    has_run: bool = False
    new_tokens: tuple[str, ...] = ()
    by_reference: bool = False
    seals: bool = False
    discarded: str = ""
    old_bundle: Path | None = None
    bundle_is_new: bool = False
    bundle_has_changed: bool = False
    bundle_is_missing: bool = False

    @property
    def differs(self) -> bool:
        """Return whether anything on disk changed, or would change."""
        return bool(self.changes) or self.bundle_has_changed or self.bundle_is_missing


def render(
    cluster_file: Path | str,
    output: Path | str = image.DEFAULT_OUTPUT,
    *,
    check: bool = False,
    review: bool = False,
    new_secrets: bool = True,
    new_cluster: bool = False,
    now: datetime | None = None,
    on_warning: Callable[[Problem], None] = lambda problem: None,
    on_progress: Progress = lambda phase, done, total: None,
) -> RenderResult:
    """Render ``cluster_file`` into ``output/<cluster>``; with ``check`` only compare, and write nothing at all.

    ``review`` writes readable and review files of every machine. Without ``new_secrets`` a missing bundle is not
    created. ``new_cluster`` makes a new bundle; a copy of the old one stays beside it. ``now`` (aware) is when new
    certificates are issued. ``on_warning`` is called before anything is written, for warnings that are known by then;
    the result has all of them. If anything fails, output and bundle are as they were.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle or a document's size is wrong.
        KgenError: the disk refuses, or another kgen is at work.
    """
    cluster_file, output = Path(cluster_file), Path(output)
    loaded = load(cluster_file)
    bundle_path = store.path_for(cluster_file)
    root = output / loaded.cluster.name
    with nullcontext() if check else store.locked(bundle_path):
        old = store.content(bundle_path) if new_cluster else None
        bundle = None if new_cluster else store.read(bundle_path)
        if bundle is None and check:
            return RenderResult(root, bundle_path, loaded.warnings, bundle_is_missing=True)
        if bundle is None and not new_secrets:
            raise missing_bundle(bundle_path, "restore it from a backup, or render without --no-new-secrets")
        with Output(root, SECTION, check=check) as target:
            recorded = Section() if new_cluster else target.lock.section(SECTION)
            refuse_another_cluster(recorded, bundle, root, bundle_path, cluster_file)
            earlier, warnings = _compare_with_last(target, recorded, loaded, cluster_file)
            for problem in warnings:
                on_warning(problem)
            populated = populate(
                bundle,
                loaded.cluster,
                now or datetime.now(UTC),
                progress=lambda done, total: on_progress("keys", done, total),
            )
            documents = _stage(target, Pipeline(loaded.cluster, populated.bundle), review, on_progress)
            target.prepare(_facts(loaded, populated.bundle, documents))
            old_bundle = None
            if populated.changed and not check:
                old_bundle = store.write(bundle_path, populated.bundle, old=old)
            changes = target.commit()
        return RenderResult(
            root=root,
            bundle_path=bundle_path,
            warnings=(*warnings, *populated.warnings, *exposure(bundle_path)),
            documents=documents,
            files=target.files,
            changes=changes,
            reissued=populated.reissued,
            earlier=earlier,
            has_bridge=loaded.cluster.networking.plugin == "bridge",
            has_seeds=bool(target.lock.section(SEED_SECTION).files),
            has_run=populated.bundle.seen_running is not None,
            new_tokens=tuple(name for name in loaded.cluster.pool_tokens if f"poolTokens.{name}" in populated.created),
            by_reference=loaded.cluster.secrets_by_reference,
            seals=loaded.cluster.seals,
            discarded=str(target.lock.section(SECTION).facts.get("caFingerprint", "")) if new_cluster else "",
            old_bundle=old_bundle,
            bundle_is_new=bundle is None,
            bundle_has_changed=populated.changed,
        )


def emit(
    cluster_file: Path | str, verb: Literal["render", "seed"] = "render", *, review: bool = False
) -> Iterator[Artifact]:
    """Yield every file that ``verb`` makes of ``cluster_file``, one machine at a time. Nothing is written.

    The bundle is used as it is; what it lacks is made anew at each call, so render first.

    Raises:
        ProblemsError, InputError: the cluster file or the bundle is wrong, or a document is over its limit.
    """
    cluster = load(cluster_file).cluster
    bundle = populate(existing_bundle(Path(cluster_file)), cluster, datetime.now(UTC)).bundle
    if verb == "seed":
        if cluster.secrets_by_reference:
            message = "with `userData: {secrets: byReference}`, seeds hold the stubs that kgen publish wrote"
            raise InputError(message, "call kgen.api.seed, which takes them from the outputs")
        yield from Pipeline(replace(cluster, provider="nocloud"), bundle).seeds({})
        return
    made = Pipeline(cluster, bundle).artifacts(review_all=review)
    yield from (item for item in made if isinstance(item, Artifact))


def _compare_with_last(
    target: Output, recorded: Section, loaded: Loaded, cluster_file: Path
) -> tuple[Mapping[str, str], tuple[Problem, ...]]:
    """Return the sha256 of each document of the last render, and the warnings that need no rendering.

    Raises:
        KgenError: the lock file has other facts than kgen writes.
    """
    try:
        output = target.root.parent
        machines = {name: entry["sha256"] for name, entry in recorded.facts.get("machines", {}).items()}
        fixed = tuple(_changes_of_fixed(recorded.facts, loaded.cluster, cluster_file, output))
        baked = target.lock.section(image.SECTION).facts
        return machines, (*loaded.warnings, *fixed, *_of_the_image(cluster_file, baked, loaded.cluster, output))
    except lock.MALFORMED as error:
        raise lock.damaged(target.root / lock.FILE_NAME, target.root) from error


def _changes_of_fixed(
    facts: Mapping[str, Any], cluster: Cluster, cluster_file: Path, output: Path
) -> Iterator[Problem]:
    """Yield a warning for each value that a running cluster cannot take."""
    new = command("render", cluster_file, "--new-cluster", output=output)
    hint = f"put it back if the cluster runs; for a new cluster: `{new}`"
    before, after = parse_version(facts.get("kubernetesVersion", "")), cluster.kubernetes_version
    if before and (after < before or after.minor > before.minor + 1):
        reason = "is a downgrade" if after < before else "skips a minor version"
        message = f"from {before} to {after} {reason}, which Kubernetes does not support in a running cluster"
        yield Problem(str(cluster_file), 0, 0, "kubernetesVersion", "K914", message, hint)
    for name, value in _FIXED.items():
        old, new = facts.get("networking", {}).get(name), _text(value(cluster.networking))
        if old is not None and old != new:
            message = f"{old or 'none'} became {new or 'none'}, which a running cluster cannot take"
            yield Problem(str(cluster_file), 0, 0, f"networking.{name}", "K914", message, hint)


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _of_the_image(cluster_file: Path, baked: Mapping[str, Any], cluster: Cluster, output: Path) -> Iterator[Problem]:
    """Yield a warning for each thing that the machines need and the last bake beside the output does not have."""
    bake = command("bake", cluster_file, output=output)
    hint = f"run `{bake}`, make an image from the recipe, and start the machines from that image"
    messages = list(needs.missing(baked, cluster))
    if not baked and cluster.runner == "baked":
        messages = ["the machines need an image with the first-boot program, and none was baked into this output"]
    for message in messages:
        yield Problem(str(cluster_file), 0, 0, "", "K911", message, hint)


def refuse_another_cluster(
    recorded: Section, bundle: Bundle | None, root: Path, bundle_path: Path, cluster_file: Path
) -> None:
    """Refuse to replace one cluster by another: a lost bundle must not silently become a new cluster."""
    fingerprint = recorded.facts.get("caFingerprint")
    if fingerprint is None or (bundle is not None and blobs.ca_fingerprint(bundle) == fingerprint):
        return
    new = command("render", cluster_file, "--new-cluster", output=root.parent)
    hint = f"restore {bundle_path} from a backup; for a new cluster: `{new}`"
    if bundle is None:
        raise missing_bundle(bundle_path, hint, f", and {root} was rendered with one")
    raise InputError(f"{root} was rendered with another cluster CA than that of {bundle_path}", hint)


def _stage(target: Output, pipeline: Pipeline, review: bool, on_progress: Progress) -> tuple[DocumentInfo, ...]:
    """Stream everything into ``target``, one machine at a time; return facts about the documents."""
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
        "networking": {name: _text(value(loaded.cluster.networking)) for name, value in _FIXED.items()},
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


def apply_script(cluster_file: Path, machine: str, output: Path = image.DEFAULT_OUTPUT) -> str:
    """Return the shell script that brings the running ``machine`` to what was rendered. It holds secrets.

    Raises:
        ProblemsError, InputError: the cluster file is at fault, the machine's files have changed since the last render
            into ``output``, or there is no such machine.
    """
    cluster = load(cluster_file).cluster
    target = find(cluster, machine)
    return script(cluster.name, target, rendered_payload(cluster_file, machine, output))


def find(cluster: Cluster, machine: str) -> Machine:
    """Return the machine or pool of this name.

    Raises:
        InputError: there is none.
    """
    found = {it.name: it for it in cluster.documents}
    if machine not in found:
        raise InputError(f"there is no machine or pool {machine!r}", f"the names are: {', '.join([*found][:20])}")
    return found[machine]


def rendered_payload(cluster_file: Path, machine: str, output: Path) -> str:
    """Return payload.json of ``machine``, which is rendered in ``output`` as the cluster file says now.

    Raises:
        InputError: nothing is rendered in ``output``, or the machine's files have changed since the last render.
    """
    cluster = load(cluster_file).cluster
    if not (output / cluster.name).is_dir():
        hint = f"name the directory of the last render with --output, or run `{command('render', cluster_file)}`"
        raise InputError(f"there is no {output / cluster.name}", hint)
    bundle = populate(existing_bundle(cluster_file), cluster, datetime.now(UTC)).bundle
    for each in bundle.rendered_as:
        pipeline = Pipeline(cluster, each)
        (target,) = (it for it in pipeline.cluster.documents if it.name == machine)
        if _is_rendered(pipeline, target, output / cluster.name):
            # The script brings the token along: a machine that runs may have no role any more.
            return payload_json.text(pipeline.payload(replace(target, join_from="document")))
    hint = f"run `{command('render', cluster_file, output=output)}` and review what changed"
    raise InputError(f"what {cluster_file} says now of {machine} is not what is rendered in {output}", hint)


def _is_rendered(pipeline: Pipeline, machine: Machine, root: Path) -> bool:
    """Return whether the files of the machine below ``root`` are those that ``pipeline`` makes."""
    with Output(root, SECTION, check=True) as target:
        for item in pipeline.machine_artifacts([machine], review_all=False, kept=target.kept):
            if isinstance(item, Artifact):
                target.stage(item)
        return not target.commit()
