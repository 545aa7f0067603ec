"""The documentation as a site (mkdocs.yml, `make docs`)."""

import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from tests.pages import ROOT

# What a browser loads by itself, unlike the target of a link that somebody clicks.
LOADED = (
    r'<(?:script|img|iframe|source|embed)\b[^>]*\bsrc="([^"]*)"',
    r'<link\b[^>]*\bhref="([^"]*)"',
    r"url\(\s*[\"']?([^\"')]+)",
    r"@import\s+[\"']([^\"']+)",
)


def build(checkout: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(site)]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    done = build(ROOT, directory)
    assert done.returncode == 0, done.stderr
    return directory


def test_every_page_is_in_the_site_and_the_readme_is_its_start(site):
    pages = {str(path.relative_to(ROOT / "docs").with_suffix(".html")) for path in (ROOT / "docs").rglob("*.md")}
    found = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    assert found == pages | {"index.html", "CONTRIBUTING.html", "CHANGELOG.html", "404.html"}
    assert "kgen builds a Kubernetes cluster from one file" in (site / "index.html").read_text(encoding="utf-8")


def test_the_site_has_no_other_file_of_the_repository(site):
    found = {path.relative_to(site).parts[0] for path in site.iterdir()}
    theme = {"css", "img", "js", "search", "webfonts", "sitemap.xml", "sitemap.xml.gz"}
    docs = {"adr", "how-to", "reference", "examples", "LICENSE"}
    assert {name for name in found - theme - docs if not name.endswith(".html")} == set()
    examples = {str(path.relative_to(site / "examples")) for path in (site / "examples").rglob("*") if path.is_file()}
    assert examples == {"smallest.yaml", "full.yaml", "files/authentication.yaml", "files/kube-vip.yaml"}


def test_no_page_loads_anything_from_another_host(site):
    texts = [path for path in site.rglob("*") if path.suffix in (".html", ".css", ".js")]
    loaded = {target for path in texts for rule in LOADED for target in re.findall(rule, path.read_text("utf-8"))}
    assert "css/base.css" in loaded
    assert {target for target in loaded if re.match(r"(https?:)?//", target)} == set()


def test_tables_and_lists_are_read_as_such(site):
    """Python's Markdown wants four spaces before what belongs to an item of a list, and no empty line in a table."""
    for path in site.rglob("*.html"):
        text = re.sub(r"<pre>.*?</pre>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for paragraph in re.findall(r"<p>(.*?)</p>", text, re.DOTALL):
            assert not re.search(r"^\s*(?:[-*|] |\d+\. )|```", paragraph, re.MULTILINE), f"{path}: {paragraph}"
    assert "<code>kgen apply prod.yaml m1 | ssh root@m1 sh</code>" in unescape(
        (site / "reference/cli.html").read_text()
    )


def test_a_broken_link_a_broken_anchor_and_a_page_outside_of_the_navigation_fail(tmp_path):
    for name in ("docs", "scripts", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.secrets.yaml"))
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "mkdocs.yml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "docs/lost.md").write_text("# Lost\n")
    with (tmp_path / "README.md").open("a") as readme:
        readme.write("\n[a](docs/no-such-page.md), [b](docs/tutorial.md#no-such-anchor), [c](examples/)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    for wrong in ("lost.md", "no-such-page.md", "#no-such-anchor", "'examples'"):
        assert re.search(f"^WARNING .*{re.escape(wrong)}|^ +- {re.escape(wrong)}", done.stderr, re.MULTILINE), (
            done.stderr
        )
