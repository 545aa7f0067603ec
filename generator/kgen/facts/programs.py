"""What the programs of a Kubernetes minor take: flags, feature gates, admission plugins, controllers, types.

``tables/`` has one table for each supported minor, written by `make facts` from the programs' own packages
(tests/facts); `diff` shows what a minor changed. A table is read when a cluster file first needs it: a file without
arguments, component configuration and patches needs none.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from kgen.facts import versions
from kgen.facts.versions import Version

_GROUPS = {"AllAlpha": "alpha", "AllBeta": "beta"}
"""The gates that stand for all gates of a stage (``k8s.io/component-base/featuregate``)."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A feature gate. ``stage`` is ``alpha``, ``beta``, ``GA`` or ``deprecated``; a locked one takes one value only.

    ``needs`` are the gates that must be on where this one is.
    """

    stage: str
    is_on: bool
    is_locked: bool
    needs: tuple[str, ...]


Gates = Mapping[str, Gate]


@dataclass(frozen=True, slots=True)
class Programs:
    """The table of one minor.

    ``flags`` and ``gates`` are by program (``kube-apiserver``) and name; a flag's value is its type in Go's pflag.
    ``types`` are the fields of Kubernetes' structs, by struct and name in JSON: ``*T`` is optional, ``[]T`` a list,
    ``{}T`` a mapping. ``defaults`` are whole configurations by kind.
    """

    version: Version
    flags: Mapping[str, Mapping[str, str]]
    gates: Mapping[str, Gates]
    admission_plugins: tuple[str, ...]
    controllers: tuple[str, ...]
    tls_cipher_suites: tuple[str, ...]
    tls_versions: tuple[str, ...]
    types: Mapping[str, Mapping[str, str]]
    defaults: Mapping[str, Any]


@functools.cache
def of_minor(minor: str) -> Programs:
    """Return the table of a supported minor, which is written ``v1.37``."""
    file = files("kgen.facts") / "tables" / f"{minor}.json"
    table = json.loads(file.read_text(encoding="utf-8"))
    gates = table["gates"]
    lacking, differing = table["gatesLackingIn"], table["gatesDifferingIn"]
    version = versions.parse_version(table["version"])
    assert version is not None  # noqa: S101 a test reads every table
    return Programs(
        version,
        table["flags"],
        {
            program: {
                name: _gate(text)
                for name, text in (gates | differing.get(program, {})).items()
                if program not in lacking.get(name, ())
            }
            for program in table["flags"]
        },
        tuple(table["admissionPlugins"]),
        tuple(table["controllers"]),
        tuple(table["tlsCipherSuites"]),
        tuple(table["tlsVersions"]),
        table["types"],
        table["defaults"],
    )


def of(version: Version) -> Programs:
    """Return the table that holds for a supported version."""
    return of_minor(f"v{version.major}.{version.minor}")


def minors_with(is_so: Callable[[Programs], bool]) -> list[str]:
    """Return the supported minors whose tables are so, oldest first."""
    return [minor for minor in versions.supported_minors() if is_so(of_minor(minor))]


def _gate(text: str) -> Gate:
    """Return the gate that ``beta, on, needs A and B`` describes."""
    stage, value, *rest = text.split(", ")
    needs = rest[0].removeprefix("needs ").split(" and ") if rest else []
    return Gate(stage, value.endswith("on"), value.startswith("always"), tuple(needs))


def is_enabled(gates: Gates, given: Mapping[str, bool], name: str) -> bool:
    """Return whether a gate is on where a configuration gives these values; a gate that is not there is off."""
    gate = gates.get(name)
    if gate is None:
        return False
    if name in given:
        return given[name]
    for group, stage in _GROUPS.items():
        if gate.stage == stage and group in given and not gate.is_locked:
            return given[group]
    return gate.is_on
