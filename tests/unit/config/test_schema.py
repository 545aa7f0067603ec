import json

import jsonschema
import pytest
import yaml
from tests.unit.config.broken_cases import BASE, cases
from tests.unit.config.examples import EXAMPLES

from kgen.config.schema import schema
from kgen.config.starter import starter_text

VALIDATOR = jsonschema.Draft202012Validator(schema())
SHAPE_CODES = {"K101", "K102", "K103", "K105", "K106", "K107", "K110", "K209", "K211"}
"""Codes of unknown, missing and surplus keys, and of values of a wrong type or range: a schema can say all of these."""


def is_accepted(text: str) -> bool:
    return VALIDATOR.is_valid(yaml.load(text, Loader=yaml.CSafeLoader))


def test_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())
    json.dumps(schema(), allow_nan=False)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_accepts_the_examples(path):
    VALIDATOR.validate(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))


def test_accepts_the_starter_file():
    assert is_accepted(starter_text("prod"))


def test_every_key_has_a_description():
    properties = list(described(schema(), ""))
    assert len(properties) > 450
    assert [path for path, description in properties if not description] == []


def described(node, path):
    """Yield path and description of every property at any depth."""
    for key, below in node.get("properties", {}).items():
        yield f"{path}.{key}", below.get("description", "")
        yield from described(below, f"{path}.{key}")
    for below in (*node.get("anyOf", ()), *filter(None, [node.get("items")])):
        yield from described(below, f"{path}[]")


def test_rejects_every_file_that_the_loader_rejects_for_its_shape():
    rejected_by_loader = [
        case
        for case in cases()
        if not case.title.startswith("yaml:") and SHAPE_CODES & {line.split()[-1] for line in case.expected}
    ]
    assert len(rejected_by_loader) >= 60
    assert [case.title for case in rejected_by_loader if is_accepted(case.text)] == []


@pytest.mark.parametrize("text", ["hostname: 1", "pools: {}", "bootstrapTokens: []", "networking: {podSubnets: x}"])
def test_rejects(text):
    assert not is_accepted(f"{BASE}{text}\n")
