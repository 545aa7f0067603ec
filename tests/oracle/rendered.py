"""What kgen makes of a cluster file, as trees to compare: from the file to what would be written, nothing skipped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

import yaml

from kgen.artifacts import Artifact
from kgen.config.load import load_text
from kgen.pipeline import Pipeline
from kgen.secrets_bundle.populate import populate
from tests.oracle.compare import Tree
from tests.oracle.translate import CASES


@dataclass(frozen=True)
class Rendered:
    """A rendered cluster: the bootstrap tokens of its bundle, and the tree of each machine or pool by name."""

    tokens: tuple[str, ...]
    machines: Mapping[str, Tree]


def render(cluster_file: str) -> Rendered:
    """Render the text of a cluster file with a new bundle.

    What lands on each machine stands below ``nodes/<machine>/``.
    """
    cluster = load_text(cluster_file, str(CASES / "cluster.yaml")).cluster
    issued = datetime.now(UTC)
    bundle = populate(None, cluster, issued).bundle
    pipeline = Pipeline(cluster, bundle)
    artifacts = [entry for entry in pipeline.artifacts(review_all=True) if isinstance(entry, Artifact)]
    objects = [yaml.safe_load(entry.content) for entry in artifacts if entry.path.parts[0] == "api"]
    machines = {}
    for machine in pipeline.cluster.documents:
        patch = pipeline.payload(machine).parameters["node"]
        marks = {
            "labels": sorted(patch["metadata"].get("labels", ())),
            "taints": sorted(":".join(_taint(taint)) for taint in patch.get("spec", {}).get("taints", ())),
            "annotations": sorted(map("=".join, patch["metadata"].get("annotations", {}).items())),
        }
        published = objects if machine.role == "master" else []
        machines[machine.name] = Tree(_files(artifacts, machine.name), published, issued, marks)
    return Rendered(bundle.tokens, machines)


def _taint(taint: Mapping[str, str]) -> tuple[str, str]:
    return "=".join(filter(None, (taint["key"], taint.get("value")))), taint["effect"]


def _files(artifacts: Iterable[Artifact], machine: str) -> dict[str, tuple[int, bytes]]:
    root = PurePosixPath("nodes", machine)
    return {
        f"/{entry.path.relative_to(root)}": (entry.file_mode, entry.content)
        for entry in artifacts
        if entry.path.is_relative_to(root)
    }
