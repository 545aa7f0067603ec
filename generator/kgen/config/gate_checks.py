"""What a program refuses among the feature gates that it is given (``k8s.io/component-base/featuregate``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kgen.config import unknown_names
from kgen.facts.programs import Gates, is_enabled
from kgen.reader.report import ALIKE, shown


def check(gates: Gates, values: Mapping[str, bool], program: str) -> Iterator[tuple[str, str, str]]:
    """Yield the names that are wrong among the given ``values``, each with a message and a hint."""
    for name, value in values.items():
        gate = gates.get(name)
        if gate is None:
            yield name, f"{program} has no feature gate {shown(name)}", _instead(name, gates, program)
        elif gate.is_locked and value != gate.is_on:
            state = "on" if gate.is_on else "off"
            yield name, f"the feature gate {name} is always {state}", "remove it: the program would not start"
    if values and all(name in gates for name in values):
        yield from _needs(gates, values)


def _instead(name: str, gates: Gates, program: str) -> str:
    otherwise = "remove it: the program would not start"
    return unknown_names.hint(name, gates, lambda table: name in table.gates[program], ALIKE, otherwise)


def _needs(gates: Gates, values: Mapping[str, bool]) -> Iterator[tuple[str, str, str]]:
    """Yield the values that switch a gate on, or leave it on, without a gate that it needs."""
    for name, gate in gates.items():
        for other in gate.needs:
            if is_enabled(gates, values, name) and not is_enabled(gates, values, other):
                culprit = next(given for given in (other, name, *values) if given in values)
                message = f"the feature gate {name} is on, but needs {other}, which is off"
                yield culprit, message, "give both of them the same value"
