"""Returns what kgen renders from a cluster file, in the form that is compared with kubeadm's output."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath

from kgen.config.load import load_text
from kgen.model import Algorithm
from kgen.output.artifacts import Artifact
from kgen.pipeline import Pipeline
from kgen.pki import keys
from kgen.secrets_bundle.populate import populate
from kgen.secrets_bundle.source import Source
from tests.oracle import compare
from tests.oracle.compare import Tree, View
from tests.oracle.translate import CASES, TOKENS


@functools.cache
def render(cluster_file: str) -> Mapping[str, View]:
    """Return the view of each machine or pool, by name, rendered from the text of a cluster file and a new bundle."""
    cluster = load_text(cluster_file, str(CASES / "cluster.yaml")).cluster
    issued = datetime.now(UTC)
    bundle = populate(None, cluster, issued, source=_source()).bundle
    pipeline = Pipeline(cluster, bundle)
    artifacts = [entry for entry in pipeline.artifacts(review_all=True) if isinstance(entry, Artifact)]
    objects = [compare.load_yaml(entry.content) for entry in artifacts if entry.path.parts[0] == "api"]
    machines = {}
    for machine in pipeline.cluster.documents:
        patch = pipeline.payload(machine).parameters["node"]
        marks = {
            "labels": sorted(patch["metadata"].get("labels", ())),
            "taints": sorted(":".join(_taint(taint)) for taint in patch.get("spec", {}).get("taints", ())),
            "annotations": sorted(map("=".join, patch["metadata"].get("annotations", {}).items())),
        }
        published = objects if machine.role == "master" else []
        machines[machine.name] = compare.view(Tree(_files(artifacts, machine.name), published, issued, marks))
    return machines


def _source() -> Source:
    """Return a source of known tokens, whose keys serve every cluster: RSA keys take long to make."""
    numbers = itertools.count()
    return Source(key=lambda algorithm: _key(algorithm, next(numbers)), token=iter(TOKENS).__next__)


@functools.cache
def _key(algorithm: Algorithm, number: int) -> keys.PrivateKey:
    return keys.generate(algorithm)


def _taint(taint: Mapping[str, str]) -> tuple[str, str]:
    return "=".join(filter(None, (taint["key"], taint.get("value")))), taint["effect"]


def _files(artifacts: Iterable[Artifact], machine: str) -> dict[str, tuple[int, bytes]]:
    root = PurePosixPath("nodes", machine)
    return {
        f"/{entry.path.relative_to(root)}": (entry.file_mode, entry.content)
        for entry in artifacts
        if entry.path.is_relative_to(root)
    }
