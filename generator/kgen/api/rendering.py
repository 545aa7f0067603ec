"""The order of a render: load, lock, populate, stage, write the bundle, commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kgen import __version__
from kgen.api import image
from kgen.api.bundle import missing_bundle
from kgen.bake import needs
from kgen.config.load import Loaded, load
from kgen.config.model import Cluster
from kgen.errors import InputError, Problem
from kgen.lock import FileRecord, Section
from kgen.pipeline import DocumentInfo, Pipeline
from kgen.secrets_bundle import blobs, store
from kgen.secrets_bundle.exposure import exposure
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import populate
from kgen.swap import Change
from kgen.writer import Comparison, Output

SECTION = "render"

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
    output: Path = image.DEFAULT_OUTPUT,
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
            raise missing_bundle(bundle_path, "restore it from a backup, or render without --no-new-secrets")
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
                *_of_the_image(cluster_file, target.lock.section(image.SECTION), loaded.cluster),
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
        raise missing_bundle(bundle_path, hint, f", and {root} was rendered with one")
    raise InputError(f"{root} was rendered with another cluster CA than that of {bundle_path}", hint)


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
