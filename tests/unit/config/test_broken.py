"""Each broken file below ``broken/`` gives exactly the problems noted there: place, field and code."""

import re

import pytest
from tests.unit.config.broken_cases import cases

from kgen.config.load import load_text
from kgen.errors import ProblemsError

CASES = list(cases())


def test_there_are_many():
    assert len(CASES) >= 100
    assert all(case.expected for case in CASES)
    assert len({case.title for case in CASES}) == len(CASES)


def _place(problem):
    file = "" if problem.file == "cluster.yaml" else f"{problem.file}:"
    return f"{file}{problem.line}:{problem.column}"


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_broken(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case.write_others(tmp_path)
    with pytest.raises(ProblemsError) as caught:
        load_text(case.text, "cluster.yaml")
    found = [
        " ".join(filter(None, [_place(problem), problem.field, problem.code])) for problem in caught.value.problems
    ]
    assert found == case.expected


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_messages_are_sentences(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case.write_others(tmp_path)
    with pytest.raises(ProblemsError) as caught:
        load_text(case.text, "cluster.yaml")
    for problem in caught.value.problems:
        assert problem.message
        assert problem.message == problem.message.strip()
        assert not problem.message.endswith(".")
        assert "\n" not in problem.message + problem.hint
        assert not re.search(r"None|BAD|object at|dataclass", problem.message + problem.hint)
