"""Collects what is wrong with a file while it is read; knows the nearest name to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kgen.config.tree import Flaw, Node, key_path, paths
from kgen.errors import Problem

_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem whose field path is not known yet: it follows from the place of ``node``, plus ``key`` below it."""

    node: Node | None
    key: str
    line: int
    column: int
    code: str
    message: str
    hint: str
    is_warning: bool


class Report:
    """Every finding of one file, in the order found."""

    def __init__(self) -> None:
        """Start with nothing found."""
        self._findings: list[Finding] = []

    def error(
        self, node: Node, code: str, message: str, hint: str = "", *, key: str = "", at: Node | None = None
    ) -> None:
        """Note that ``node`` is wrong: ``key`` is what is missing or surplus in it, ``at`` where to point instead."""
        place = at or node
        self._findings.append(Finding(node, key, place.line, place.column, code, message, hint, False))

    def warn(self, node: Node, code: str, message: str, hint: str = "", *, key: str = "") -> None:
        """Note something about ``node`` that does not keep the file from being used."""
        self._findings.append(Finding(node, key, node.line, node.column, code, message, hint, True))

    def flaw(self, flaw: Flaw) -> None:
        """Note what is wrong with the file as YAML."""
        self._findings.append(
            Finding(flaw.node, flaw.key, flaw.line, flaw.column, flaw.code, flaw.message, flaw.hint, False)
        )

    def problems(self, file: str, root: Node | None) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
        """Return errors and warnings, each sorted by position and free of repetitions."""
        if not self._findings:
            return (), ()
        places = paths(root) if root is not None else {}
        errors: set[Problem] = set()
        warnings: set[Problem] = set()
        for found in self._findings:
            field = places.get(id(found.node), "")
            if found.key:
                field = key_path(field, found.key)
            problem = Problem(file, found.line, found.column, field, found.code, found.message, found.hint)
            (warnings if found.is_warning else errors).add(problem)
        return tuple(sorted(errors)), tuple(sorted(warnings))


def shown(text: str) -> str:
    """Return ``text`` in quotes as it may stand in a message: one line, not too long."""
    cut = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
    return repr(cut)


def nearest(text: str, known: Iterable[str]) -> str:
    """Return the known name that ``text`` most likely stands for, or an empty string."""
    from difflib import get_close_matches  # only needed once something is wrong

    if len(text) > _LONGEST_SHOWN:
        return ""
    by_fold = {name.casefold(): name for name in known}
    matches = get_close_matches(text.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[matches[0]] if matches else ""


def one_of(names: Iterable[str]) -> str:
    """Return the names as a list for a sentence."""
    return ", ".join(name or "''" for name in names)
