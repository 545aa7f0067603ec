from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"


def test_docs_prints_the_directory_and_every_page_with_its_title(kgen):
    ended = kgen("docs")
    first, empty, *rows = ended.out.splitlines()
    assert (ended.code, ended.err, first, empty) == (0, "", str(DOCS), "")
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    assert {f"{row.split()[0]}.md" for row in rows} == pages
    titles = dict(row.split(maxsplit=1) for row in rows)
    assert titles["how-to/lab"] == "How to run a cluster on your own computer"
    assert titles["reference/outputs"] == "outputs/<cluster>/"  # its heading has &lt; for browsers


@pytest.mark.parametrize("topic", ["how-to", "docs/how-to/"])
def test_docs_lists_the_pages_of_a_directory(kgen, topic):
    ended = kgen("docs", topic)
    first, _, *rows = ended.out.splitlines()
    assert (ended.code, first) == (0, str(DOCS / "how-to"))
    assert {f"{row.split()[0]}.md" for row in rows} == {f"how-to/{path.name}" for path in (DOCS / "how-to").iterdir()}


@pytest.mark.parametrize("topic", ["lab", "how-to/lab", "how-to/lab.md", "docs/how-to/lab.md"])
def test_docs_prints_the_path_of_a_page(kgen, topic):
    ended = kgen("docs", topic)
    assert (ended.code, ended.out, ended.err) == (0, f"{DOCS / 'how-to/lab.md'}\n", "")


@pytest.mark.parametrize(
    ("topic", "hint"),
    [("testign", "did you mean `kgen docs testing`?"), ("../README", "`kgen docs` lists the pages")],
)
def test_docs_names_no_page_that_does_not_exist(kgen, topic, hint):
    ended = kgen("docs", topic)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"error: the documentation has no page {topic}\n  hint: {hint}\n"
