"""Cluster file → Cluster, or every problem found in it at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from kgen.config import build, rules
from kgen.config.fields import CLUSTER
from kgen.config.model import Cluster, Manifest, Patch
from kgen.config.objects import Draft
from kgen.config.report import Report
from kgen.config.rules.facts import Facts
from kgen.config.tree import compose
from kgen.errors import InputError, Problem, ProblemsError

_LARGEST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid cluster, and what is worth a word about its file."""

    cluster: Cluster
    warnings: tuple[Problem, ...]


def load(path: Path) -> Loaded:
    """Return the cluster that the file at ``path`` describes.

    Raises:
        ProblemsError: every problem of the file, with its place.
        InputError: the file cannot be read, or is not UTF-8 text.
    """
    return load_text(_read(path), str(path))


def load_text(text: str, file: str) -> Loaded:
    """Return the cluster that ``text`` describes; ``file`` is what problems call it.

    Manifests and patches are relative to it.

    Raises:
        ProblemsError: every problem of the text, with its place.
    """
    report = Report()
    root, flaws = compose(text)
    for flaw in flaws:
        report.flaw(flaw)
    draft = CLUSTER.read(root, report) if root is not None else None
    if draft is not None:
        rules.check(Facts(draft), report)
    objects, problems = _manifests(draft, Path(file).parent, report)
    patches, more = _patches(draft, Path(file).parent, report)
    errors, warnings = report.problems(file, root)
    if errors or problems or more or draft is None:
        raise ProblemsError((*errors, *problems, *more))
    return Loaded(replace(build.cluster(draft), manifests=objects, patches=patches), warnings)


def _manifests(draft: Draft | None, directory: Path, report: Report) -> tuple[tuple[Manifest, ...], list[Problem]]:
    entries = list(draft.items("manifests")) if draft is not None else []
    if not entries:
        return (), []
    from kgen.config import manifests  # most clusters have none

    objects, problems = manifests.read(entries, directory, report)
    return tuple(objects), problems


def _patches(draft: Draft | None, directory: Path, report: Report) -> tuple[tuple[Patch, ...], list[Problem]]:
    section = draft.section("patches") if draft is not None else None
    if section is None or not section.get("directory"):
        return (), []
    from kgen.config import patches  # most clusters have none

    found, problems = patches.read(section.get("directory"), section.at("directory"), directory, report)
    return tuple(found), problems


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except IsADirectoryError:
        raise InputError(f"{path} is a directory", "give the cluster file inside it") from None
    except FileNotFoundError:
        raise InputError(f"{path} does not exist", "`kgen init` writes a cluster file to start from") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path} cannot be read: {reason}") from error
    if len(content) > _LARGEST_BYTES:
        raise InputError(f"{path} is larger than {_LARGEST_BYTES // 2**20} MiB", "is it a cluster file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}:{line}: not UTF-8 text", "save the file with the encoding UTF-8") from None
