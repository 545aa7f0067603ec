import json

import jinja2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kgen import engine
from kgen.payload import Pem, PemBase64

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
HOSTILE = ["a: b", "# no comment", "{{ x }}", "no", "1.30", "0755", "- x", "*a", "'", '"', "\\", "\u2028", "\x85", "\0"]


@pytest.fixture(autouse=True)
def templates(monkeypatch):
    texts = {
        "value": "key: {{ value }}\nlast: 1\n",
        "list": "{% for item in items %}\n- {{ item }}\n{% endfor %}\n",
        "broken": "key: [{{ value }}\n",
        "two": "a: {{ first }}\nb: {{ second }}\n",
    }
    monkeypatch.setattr(engine.resources, "template_text", texts.__getitem__)
    engine._environment.cache_clear()
    yield
    engine._environment.cache_clear()


@given(DATA)
def test_any_value_comes_back_from_a_template(value):
    engine._environment.cache_clear()
    assert engine.render_yaml("value", value=value) == ({"key": value, "last": 1},)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_injects_structure(text):
    assert engine.render_yaml("list", items=[text, text]) == ([text, text],)
    assert yaml.safe_load(engine.to_yaml({"a": text})) == {"a": text}


@given(st.text("ab -#:\t\n'\"é{}", max_size=30) | TEXT)
def test_a_block_holds_its_text(text):
    assert engine.render_yaml("value", value=engine.Block(text, 2)) == ({"key": text, "last": 1},)


def test_a_block_is_a_literal_block():
    assert engine.render("value", value=engine.Block("one\n\n  two\n", 2)) == "key: |2\n  one\n\n    two\nlast: 1\n"


@pytest.mark.parametrize(("text", "header"), [("a", "|2-"), ("a\n", "|2"), ("a\n\n", "|2+")])
def test_a_block_keeps_the_end_of_its_text(text, header):
    assert engine.render("value", value=engine.Block(text, 2)).splitlines()[0] == f"key: {header}"


def test_a_name_nobody_gave_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        engine.render("value")


def test_text_that_is_not_yaml_is_an_error():
    with pytest.raises(yaml.YAMLError):
        engine.render_text("broken", value=1)


def test_what_is_not_data_is_an_error():
    with pytest.raises(TypeError):
        engine.render("value", value=object())
    with pytest.raises(ValueError, match="JSON"):
        engine.render("value", value=float("nan"))


def test_key_material_gets_a_place():
    content = engine.render_content("two", first=PemBase64("ca.crt"), second=Pem("ca.key"))
    assert content == ("a: ", PemBase64("ca.crt"), "\nb: ", Pem("ca.key"), "\n")


def test_no_text_can_ask_for_key_material():
    content = engine.render_content("two", first="\0pem:ca.key\0", second=Pem("ca.crt"))
    assert [piece for piece in content if not isinstance(piece, str)] == [Pem("ca.crt")]


@pytest.mark.parametrize(
    "text", ["y", "N", "yes", "1e3", ".5e1", "0o17", "0x1f", "1_000", "12:30", "~", "", "2001-01-01"]
)
def test_dumped_text_is_text_for_go_too(text):
    assert engine.to_yaml([text]) == f"- {json.dumps(text)}\n"


@pytest.mark.parametrize("text", ["10.96.0.10", "10.96.0.0/12", "0s", "v1.37.2", "https://a:1"])
def test_dumped_text_is_plain_where_it_may_be(text):
    assert engine.to_yaml([text]) == f"- {text}\n"


def test_dumped_objects_are_sorted_and_repeat_what_they_share():
    shared = {"b": 1, "a": [1]}
    assert engine.to_yaml({"y": shared, "x": shared}) == 'x:\n  a:\n  - 1\n  b: 1\n"y":\n  a:\n  - 1\n  b: 1\n'


@given(DATA)
def test_any_object_comes_back_from_a_dump(value):
    assert yaml.load(engine.to_yaml(value), Loader=yaml.CSafeLoader) == value
