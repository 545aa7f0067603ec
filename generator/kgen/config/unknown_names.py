"""The hint for a name that the programs of the file's Kubernetes version do not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kgen.facts import programs
from kgen.facts.programs import Programs
from kgen.reader.report import all_of, nearest


def hint(
    name: str, known: Iterable[str], has_it: Callable[[Programs], bool], cutoff: float = 0.6, otherwise: str = ""
) -> str:
    """Return which minors have the name, and the nearest of the ``known`` names, which this version has.

    ``otherwise`` is what to do without either.
    """
    near = nearest(name, known, cutoff)
    minors = all_of(programs.minors_with(has_it))
    if minors:
        return f"it exists only in {minors}; " + (f"did you mean {near}?" if near else "remove it")
    return f"did you mean {near}?" if near else otherwise
