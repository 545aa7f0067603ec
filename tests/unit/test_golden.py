"""A cluster file and a test-only bundle in, a tree out, byte for byte."""

import pytest
from tests.conftest import GOLDEN

from kgen.config.load import load
from kgen.output.artifacts import Artifact
from kgen.pipeline import Pipeline
from kgen.secrets_bundle import store

TREES = ("nodes", "api")  # user-data is these, compressed, and the runner
CASES = sorted(path.parent.parent.name for path in GOLDEN.glob("*/input/cluster.yaml"))


@pytest.mark.parametrize("case", CASES)
def test_golden(case, golden_tree):
    cluster_file = GOLDEN / case / "input" / "cluster.yaml"
    bundle = store.read(store.path_for(cluster_file))
    entries = Pipeline(load(cluster_file).cluster, bundle).artifacts(review_all=True)
    files = (entry for entry in entries if isinstance(entry, Artifact))
    golden_tree(case, {str(file.path): file.content for file in files if file.path.parts[0] in TREES})
