"""Every leaf of the cluster file changes something that is rendered: two values of it, and nothing else, differ."""

import json
from pathlib import Path

import pytest
from tests.unit.config import leaves

from kgen.config import outline
from kgen.config.load import load_text
from kgen.secrets_bundle.populate import populate

LEAVES = list(leaves.leaves())
EXCEPTIONS = {*leaves.NOT_RENDERED, *leaves.OF_NEW_KEYS, *leaves.ELSEWHERE}
RENDERED = [leaf for leaf in LEAVES if str(leaf) not in EXCEPTIONS]


@pytest.fixture(scope="module")
def bundle():
    base = load_text(json.dumps(leaves.BASE), "cluster.yaml").cluster
    return populate(None, base, leaves.NOW).bundle


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    made = tmp_path_factory.mktemp("leaves")
    leaves.write_files(made)
    return made


def test_every_field_is_a_leaf_or_has_some():
    paths = {str(leaf) for leaf in LEAVES}
    assert len(paths) == len(LEAVES) > 800
    for path in outline.paths():
        is_empty = path.endswith("authentication.x509")  # every key of it is refused
        assert is_empty or path in paths or any(leaf.startswith(f"{path}.") for leaf in paths), path


def test_the_exceptions_are_leaves():
    paths = {str(leaf) for leaf in LEAVES}
    assert paths >= EXCEPTIONS
    for name, test in leaves.ELSEWHERE.items():
        assert f"{name.rpartition('.')[2]}: " in (Path(__file__).parents[3] / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("leaf", RENDERED, ids=str)
def test_a_leaf_changes_what_is_rendered(leaf, bundle, directory):
    first, second = leaves.two_values(leaf, directory)
    assert leaves.differ(first.cluster, second.cluster, bundle), f"{first.value!r} and {second.value!r} render the same"


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if str(leaf) in leaves.NOT_RENDERED], ids=str)
def test_an_exception_is_one(leaf, bundle, directory):
    found = leaves.accepted(leaf, directory)
    if len(found) == 2:
        assert not leaves.differ(found[0].cluster, found[1].cluster, bundle), "it is rendered: remove the exception"


@pytest.mark.parametrize("name", leaves.OF_NEW_KEYS)
def test_a_leaf_of_new_keys_changes_them(name, directory):
    (leaf,) = [leaf for leaf in LEAVES if str(leaf) == name]
    first, second = leaves.two_values(leaf, directory)
    assert leaves.of_new_keys(first.cluster) != leaves.of_new_keys(second.cluster)
    assert leaves.of_new_keys(first.cluster) == leaves.of_new_keys(first.cluster)
