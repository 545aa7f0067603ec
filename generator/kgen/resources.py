"""Finds what ships beside the code: templates, documentation and the runner's sources."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def templates_root() -> Traversable:
    """Return the directory of templates: inside the package when installed, at the top of a checkout otherwise.

    Raises:
        FileNotFoundError: neither exists; the installation is damaged.
    """
    packaged = files("kgen") / "templates"
    if packaged.is_dir():
        return packaged
    checkout = Path(__file__).resolve().parents[2] / "templates"
    if checkout.is_dir():
        return checkout
    raise FileNotFoundError(f"kgen's templates are missing: neither {packaged} nor {checkout} is a directory")


def template_text(name: str) -> str:
    """Return the text of the template ``name``, a path below the templates' root with forward slashes."""
    return templates_root().joinpath(*name.split("/")).read_text(encoding="utf-8")


def docs_root() -> Path:
    """Return the directory of the documentation, found as the templates are.

    Raises:
        FileNotFoundError: it is missing; the installation is damaged.
    """
    packaged, checkout = Path(__file__).parent / "docs", Path(__file__).resolve().parents[2] / "docs"
    for found in (packaged, checkout):
        if found.is_dir():
            return found
    raise FileNotFoundError(f"kgen's documentation is missing: neither {packaged} nor {checkout} is a directory")


def runner_source(module: str) -> str:
    """Return the source text of one module of the first-boot runner."""
    return (files("kgen") / "runner" / f"{module}.py").read_text(encoding="utf-8")
