import json

import jsonschema
import pytest
import yaml
from tests.unit.config.broken_cases import BASE, cases
from tests.unit.config.examples import EXAMPLES

from kgen.config.load import load_text
from kgen.config.schema import schema
from kgen.config.starter import starter_text
from kgen.errors import ProblemsError

VALIDATOR = jsonschema.Draft202012Validator(schema())
TYPE_CODES = {"K101", "K102", "K103", "K105", "K106", "K107", "K110", "K209", "K211", "K401"}


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
    def undescribed(node, path):
        for key, below in node.get("properties", {}).items():
            if "description" not in below:
                yield f"{path}.{key}"
            yield from undescribed(below, f"{path}.{key}")
            yield from undescribed(below.get("items", {}), f"{path}.{key}[]")

    upstream = (".kubelet.", ".kubeProxy.", ".valueFrom.")
    missing = [path for path in undescribed(schema(), "") if not any(part in path for part in upstream)]
    assert missing == []


@pytest.mark.parametrize(
    "case",
    [case for case in cases() if not case.title.startswith("yaml:")],
    ids=lambda case: case.title,
)
def test_rejects_what_the_loader_rejects_for_its_type(case):
    with pytest.raises(ProblemsError) as caught:
        load_text(case.text, "cluster.yaml")
    codes = {problem.code for problem in caught.value.problems}
    if codes & TYPE_CODES and not ROLE_OF_LOADER & {case.title}:
        assert not is_accepted(case.text)


ROLE_OF_LOADER = {
    "machines: users",  # the word default is one of several shapes
    "arguments: kubelet fields",
}


@pytest.mark.parametrize("text", ["hostname: 1", "pools: {}", "bootstrapTokens: []", "networking: {podSubnets: x}"])
def test_rejects(text):
    assert not is_accepted(f"{BASE}{text}\n")
