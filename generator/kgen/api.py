"""Load, render, write: what ``kgen`` does, for Python programs. Prints nothing.

>>> from pathlib import Path
>>> from kgen import api
>>> result = api.render(Path("cluster.yaml"))          # doctest: +SKIP
>>> [document.path for document in result.documents]   # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kgen import __version__
from kgen.config.load import Loaded, load
from kgen.errors import InputError, Problem
from kgen.lock import FileRecord, Section
from kgen.pipeline import DocumentInfo, Pipeline
from kgen.secrets_bundle import blobs, inventory, selection, store
from kgen.secrets_bundle.exposure import exposure
from kgen.secrets_bundle.inventory import CertificateInfo
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import Populated, populate
from kgen.swap import Change
from kgen.writer import Comparison, Output

SECTION = "render"
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
            warnings=(*loaded.warnings, *populated.warnings, *exposure(bundle_path)),
            documents=documents,
            files=target.files,
            changes=changes,
            reissued=populated.reissued,
            bundle_is_new=bundle is None,
            bundle_has_changed=populated.changed,
        )


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
    recorded = target.lock.section(SECTION).facts
    known = recorded.get("machines", {}) if recorded.get("provider") == pipeline.cluster.provider else {}
    total = len(pipeline.cluster.documents)
    documents: list[DocumentInfo] = []
    changed: set[str] = set()
    for item in pipeline.artifacts(review_all=review):
        if isinstance(item, DocumentInfo):
            on_disk = known.get(item.machine) if str(item.path) not in changed else None
            documents.append(_as_on_disk(item, on_disk))
            on_progress("documents", len(documents), total)
        elif target.stage(item) is not None:
            changed.add(str(item.path))
    return tuple(documents)


def _as_on_disk(document: DocumentInfo, recorded: Mapping[str, Any] | None) -> DocumentInfo:
    """Return ``document`` with the size of the file that stays on disk: another zlib may have compressed it."""
    if recorded is None or recorded.get("sha256") != document.sha256:
        return document
    return replace(document, counted_bytes=recorded.get("bytes", document.counted_bytes))


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
    if not bundle.tokens:
        raise InputError("the cluster has no bootstrap token", "add one to bootstrapTokens and render")
    pin = inventory.ca_cert_hash(bundle)
    return f"kubeadm join {cluster.endpoint} --token {bundle.tokens[0]} --discovery-token-ca-cert-hash {pin}"
