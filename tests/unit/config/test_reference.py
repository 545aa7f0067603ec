"""The reference pages say what the code does."""

import re
from pathlib import Path

import pytest
from tests.unit.config.broken_cases import cases
from tests.unit.config.key_table import rows

ROOT = Path(__file__).parents[3]
PROBLEMS = ROOT / "docs" / "reference" / "problems.md"
CLUSTER_FILE = ROOT / "docs" / "reference" / "cluster-file.md"
BEGIN, END = "`make golden`: edit generator/kgen/config/fields.py -->\n", "<!-- end of the keys -->\n"


def documented() -> list[str]:
    return re.findall(r"^\| (K\d{3}) \|", PROBLEMS.read_text(encoding="utf-8"), re.MULTILINE)


def in_code() -> set[str]:
    sources = (ROOT / "generator" / "kgen").rglob("*.py")
    return {code for path in sources for code in re.findall(r'"(K\d{3})"', path.read_text(encoding="utf-8"))}


def test_every_code_is_documented_once():
    assert documented() == sorted(documented())
    assert len(set(documented())) == len(documented())
    assert set(documented()) == in_code()


def test_every_error_is_tried():
    tried = {line.split()[-1] for case in cases() for line in case.expected}
    tried_elsewhere = {"K604"}  # tests/unit/content/test_patches.py: it shows when the patch is applied
    assert {code for code in in_code() if not code.startswith("K9")} - tried == tried_elsewhere


def test_the_cluster_files_page_lists_every_key(request: pytest.FixtureRequest):
    text = CLUSTER_FILE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    expected = before + BEGIN + "".join(f"{line}\n" for line in rows()) + END + after
    if request.config.getoption("--update-golden"):
        CLUSTER_FILE.write_text(expected, encoding="utf-8")
        return
    assert text == expected, "a key changed? run: make golden, and review the difference"
