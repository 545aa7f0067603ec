"""The report about a cluster: one HTML page."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kgen import __version__
from kgen.api import image, rendering
from kgen.api.bundle import current_bundle
from kgen.config.load import load
from kgen.emitters import review_tree
from kgen.emitters.contract import DocumentInfo
from kgen.emitters.limits import DocumentTooLargeError
from kgen.errors import Problem
from kgen.output.artifacts import Artifact
from kgen.output.swap import Change
from kgen.output.writer import Output
from kgen.pipeline import Pipeline
from kgen.secrets_bundle import inventory, store

SECTION = "report"
_PATH = PurePosixPath("report.html")


@dataclass(frozen=True, slots=True)
class ReportResult:
    """The written page."""

    path: Path
    size_bytes: int
    warnings: tuple[Problem, ...]
    changes: tuple[Change, ...]


def report(cluster_file: Path, output: Path = image.DEFAULT_OUTPUT) -> ReportResult:
    """Write a page about the cluster of ``cluster_file`` to ``output/<cluster>/report.html``. It holds no secret.

    Raises:
        ProblemsError, InputError: the cluster file or the bundle is wrong, or the bundle is not up to date.
        KgenError: the disk refuses, or another kgen is at work.
    """
    from kgen.reporting.page import page  # renders do not need it

    loaded = load(cluster_file)
    bundle = current_bundle(cluster_file, loaded.cluster, output)
    pipeline = Pipeline(loaded.cluster, bundle)
    documents = []
    with suppress(DocumentTooLargeError):  # the page shows it
        for item in pipeline.machine_artifacts(
            pipeline.cluster.documents, review_all=False, kept=lambda path, text: None
        ):
            if isinstance(item, DocumentInfo):
                documents.append(item)
    detailed = review_tree.reviewed(pipeline.cluster, review_all=False)
    files = {it.name: pipeline.payload(it).files for it in pipeline.cluster.documents if it.name in detailed}
    text = page(pipeline.cluster, inventory.inventory(bundle), documents, files, loaded.warnings)
    content = text.encode()
    root = output / loaded.cluster.name
    with Output(root, SECTION) as target:
        recorded = target.lock.section(rendering.SECTION)
        rendering.refuse_another_cluster(recorded, bundle, root, store.path_for(cluster_file), cluster_file)
        target.stage(Artifact(_PATH, content, secret=False))
        target.prepare({"kgen": __version__})
        return ReportResult(root / _PATH, len(content), loaded.warnings, target.commit())
