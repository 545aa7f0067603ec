"""A report of everything that is wrong with a file, and helpers to word its messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kgen.errors import Problem
from kgen.reader.tree import Flaw, Node, key_path, paths

_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem before its field path is computed: the path of ``node``, and ``key`` below it."""

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

    def __init__(self, reword: Callable[[Finding], Finding] = lambda found: found, *, is_quotable: bool = True) -> None:
        """Start with nothing found; ``reword`` returns each finding in the words of the kind of file."""
        self._reword = reword
        self._is_quotable = is_quotable
        self._findings: list[Finding] = []

    def _add(self, finding: Finding) -> None:
        self._findings.append(self._reword(finding))

    def error(
        self, node: Node, code: str, message: str, hint: str = "", *, key: str = "", at: Node | None = None
    ) -> None:
        """Add an error about ``node``, or about ``key`` in it; ``at`` is the place to show instead of the node's."""
        place = at or node
        self._add(Finding(node, key, place.line, place.column, code, message, hint, False))

    def warn(self, node: Node, code: str, message: str, hint: str = "", *, key: str = "") -> None:
        """Add a warning about ``node``: the file can be used in spite of it."""
        self._add(Finding(node, key, node.line, node.column, code, message, hint, True))

    def flaw(self, flaw: Flaw) -> None:
        """Add an error of the file's YAML."""
        self._add(Finding(flaw.node, flaw.key, flaw.line, flaw.column, flaw.code, flaw.message, flaw.hint, False))

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
            problem = Problem(
                file, found.line, found.column, field, found.code, found.message, found.hint, self._is_quotable
            )
            (warnings if found.is_warning else errors).add(problem)
        return tuple(sorted(errors)), tuple(sorted(warnings))


def shown(text: str) -> str:
    """Return ``text`` in quotes as it may stand in a message: one line, not too long."""
    cut = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
    return repr(cut)


ALIKE = 0.8
"""How alike two names of a long list must be: flags and feature gates share many words."""


def nearest(text: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the known name that ``text`` most likely stands for, or an empty string."""
    from difflib import get_close_matches  # only needed once something is wrong

    if len(text) > _LONGEST_SHOWN:
        return ""
    by_fold = {name.casefold(): name for name in known}
    matches = get_close_matches(text.casefold(), by_fold, n=1, cutoff=cutoff)
    return by_fold[matches[0]] if matches else ""


def one_of(names: Iterable[str]) -> str:
    """Return the names as a list for a sentence."""
    return ", ".join(name or "''" for name in names)


def all_of(names: Iterable[str]) -> str:
    """Return the names as a list for a sentence, with *and* before the last one; empty without names."""
    *first, last = [*names] or [""]
    return f"{', '.join(first)} and {last}" if first else last
