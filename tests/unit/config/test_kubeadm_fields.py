"""Each field of kubeadm's v1beta4 is supported under its own name, or refused with what to use instead."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.config.kubeadm_table import rows

from kgen.config import kubeadm_fields, outline
from kgen.config.values import duration
from kgen.reader.kinds import Invalid
from kgen.reader.objects import Field, Foreign

DOCS = Path(__file__).parents[3] / "docs" / "reference"
PAGE = DOCS / "kubeadm-fields.md"
BEGIN, END = "`make golden`: edit the tables in generator/kgen/config -->\n", "<!-- end of the fields -->\n"


@pytest.mark.parametrize("row", kubeadm_fields.FIELDS, ids=lambda row: f"{row.kind}.{row.path}")
def test_a_field_is_supported_or_refused_with_what_to_use_instead(row):
    found = outline.find(row.path)
    assert found is not None
    assert found.help if isinstance(found, Field) else found.hint


def test_the_page_says_what_the_tables_say(request: pytest.FixtureRequest):
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    expected = before + BEGIN + "".join(f"{line}\n" for line in rows()) + END + rest.split(END)[1]
    if request.config.getoption("--update-golden"):
        PAGE.write_text(expected, encoding="utf-8")
        return
    assert text == expected, "a field changed? run: make golden, and review the difference"


def test_every_default_that_differs_is_listed():
    section = (DOCS / "differences.md").read_text(encoding="utf-8").split("## Defaults\n")[1].split("\n## ")[0]
    listed = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    assert listed == {row.path for row in kubeadm_fields.FIELDS if differs(row)}


def differs(row: kubeadm_fields.KubeadmField) -> bool:
    """Return whether both sides have a default, and not the same one."""
    found = outline.find(row.path)
    if isinstance(found, Foreign) or found is None or not row.default:
        return False
    ours = outline.default(found).strip("`")
    return bool(ours) and plain(ours) != plain(row.default)


def plain(text: str) -> str | timedelta:
    try:
        return duration(text)
    except Invalid:
        return text


def test_kgen_explains_every_field():
    assert [path for path in outline.paths() if not isinstance(outline.find(path), Field)] == []
