"""The hooks of mkdocs.yml: they add files outside docs/ to the site, and settle differences to GitHub's Markdown."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# An explicit list: `kgen render` writes secrets bundles into examples/. MkDocs makes README.md the start page.
OUTSIDE = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"),
    *("examples/smallest.yaml", "examples/full.yaml", "examples/files/authentication.yaml"),
    "examples/files/kube-vip.yaml",
)


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the files outside docs/ at the paths that they have in the repository."""
    for path in OUTSIDE:
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the text with links as the site needs them, where the pages of docs/ are at the top."""
    here = page.file.src_uri
    source = here if here in OUTSIDE else f"docs/{here}"

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[1]))
        return f"]({posixpath.relpath(target.removeprefix('docs/'), posixpath.dirname(here) or '.')}{link[2]})"

    text = re.sub(r"\]\((?!\w+:)([^)#\s]+)((?:#[^)\s]*)?)\)", moved, markdown)
    return re.sub(r"^\|.*$", _table_row, text, flags=re.MULTILINE)


def _table_row(row: re.Match[str]) -> str:
    r"""Return the row without the backslash in `a \| b`. GitHub's Markdown needs it in code; Python's would show it."""
    return re.sub(r"`[^`]+`", lambda code: code[0].replace(r"\|", "|"), row[0])
