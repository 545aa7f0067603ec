"""A component's configuration as the program sees it: what is given, over the program's own defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kgen.config.kubernetes_yaml import value_at
from kgen.config.typed import Types
from kgen.facts.programs import Programs, is_enabled

_ZERO_DURATION = re.compile(r"[+-]?(0|(0+(\.0*)?(ns|us|µs|μs|ms|s|m|h))+)")


def merged(fields: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``fields`` with those of ``own`` in their places, level by level; lists are replaced."""
    result = dict(fields)
    for key, value in own.items():
        is_level = isinstance(value, Mapping) and isinstance(fields.get(key), Mapping)
        result[key] = merged(fields[key], value) if is_level else value
    return result


class Configuration:
    """A KubeletConfiguration or KubeProxyConfiguration with every default filled in."""

    def __init__(self, given: Mapping[str, Any], kind: str, program: str, programs: Programs) -> None:
        """Lay the fields that are ``given`` over the defaults of ``kind``, which ``program`` reads."""
        self.given = given
        self._values = _with_defaults(given, kind, programs.types, programs.defaults[kind])
        self.gates = programs.gates[program]
        self.given_gates: Mapping[str, bool] = self.get("featureGates") or {}
        self.programs = programs

    def get(self, path: str) -> Any:
        """Return the value at ``a.b``; None if it has neither a value nor a default."""
        return value_at(self._values, path.split("."))

    def first_given(self, *paths: str) -> tuple[str, ...]:
        """Return the first of the paths that has a value of its own, split: the others have defaults."""
        split = [tuple(path.split(".")) for path in paths]
        return next((path for path in split if value_at(self.given, path) is not None), split[0])

    def is_on(self, gate: str) -> bool:
        """Return whether a feature gate is on in this configuration; a gate that is not there is off."""
        return is_enabled(self.gates, self.given_gates, gate)

    def is_off(self, gate: str) -> bool:
        """Return whether there is such a gate, and it is off: what it guards is then refused."""
        return gate in self.gates and not self.is_on(gate)


def _with_defaults(given: Mapping[str, Any], kind: str, types: Types, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a struct. Without a ``*``, Go takes an empty value for none."""
    result = {**defaults, **{key: value for key, value in given.items() if value is not None}}
    for key, notation in types[kind].items():
        if key not in result:
            continue
        bare = notation.removeprefix("*")
        value = result[key]
        if bare in types and isinstance(value, Mapping):
            result[key] = _with_defaults(value, bare, types, defaults.get(key) or {})
        elif bare == notation and _is_zero(value, bare) and key in defaults:
            result[key] = defaults[key]
    return result


def _is_zero(value: Any, notation: str) -> bool:
    if notation in ("duration", "duration-or-int") and isinstance(value, str):
        return bool(_ZERO_DURATION.fullmatch(value))
    return not value
