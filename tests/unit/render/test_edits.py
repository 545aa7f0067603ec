"""What kgen leaves out of a payload, the runner's own code puts back."""

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import clusters
from tests.unit.runner import scratch

from kgen import versions
from kgen.render import payload_json
from kgen.render.edits import edits
from kgen.render.image_texts import image_texts
from kgen.runner.image import edited

SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab\n", max_size=12)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=25,
)
BODIES = st.dictionaries(st.sampled_from("abcd"), VALUES)


@given(BODIES, BODIES)
def test_edits_make_the_new_value_of_the_old(old, new):
    whole = copy.deepcopy(old)
    edited(whole, json.loads(json.dumps(edits(old, new))))
    assert json.dumps(whole, sort_keys=True) == json.dumps(new, sort_keys=True)  # 1 is not True


def test_one_is_not_true():
    assert edits({"a": 1}, {"a": True}) == [[["a"], True]]


@given(BODIES)
def test_nothing_is_edited_where_nothing_is_different(value):
    assert edits(value, copy.deepcopy(value)) == []


def test_an_object_more_in_a_list_is_inserted_and_its_neighbours_are_edited_where_they_are():
    def entry(name, text):
        return ["/api", {"metadata": {"name": name}, "text": text}, [], None]

    old = [entry("a", "one\ntwo\nthree\n" * 9), entry("c", "x")]
    new = [entry("a", "one\ntwo\nthree\n" * 8 + "one\n2\nthree\n"), entry("b", "y"), entry("c", "x")]
    assert edits({"objects": old}, {"objects": new}) == [
        [["objects"], 1, 1, [entry("b", "y")]],
        [["objects", 0, 1, "text"], 116, 119, "2"],
    ]


@pytest.mark.parametrize("minor", versions.supported_minors())
def test_a_cluster_of_any_release_is_a_few_edits(minor):
    version = versions.parse_version(f"{minor}.0")
    cluster = replace(clusters.with_nodes(1), kubernetes_version=version, runner="baked")
    for payload in scratch.payloads(cluster).values():
        whole = payload_json.body(payload)
        sent = json.loads(image_texts(version, payload.role).seal(whole))["body"]
        assert "files" not in sent
        assert len(json.dumps(sent["edits"])) < 4500
