"""``kgen diff``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console
from kgen.errors import ExitCode

if TYPE_CHECKING:
    from kgen.api import Comparison, Difference

_MOST_NAMES = 5
_LONGEST = 70
_BEFORE = 20
_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


@click.command(short_help="Show what a render would change, by meaning.")
@arguments.CLUSTER_FILE
@click.option(
    "--against",
    default="",
    metavar="DIR|REVISION",
    help="Compare with the rendered documents in DIR, or with CLUSTER_FILE as it is in a git revision.",
)
@arguments.output("Without --against: compare with the last render in DIR/<cluster>.")
@arguments.JSON
def diff(cluster_file: Path, against: str, output: Path, as_json: bool) -> int:
    """Show what a render of CLUSTER_FILE would change on each machine: flags, certificates, files, objects.

    Nothing is written. What may be secret is shown as a fingerprint. Exits 3 if there is a difference.
    """
    from kgen import api

    result = api.compare(cluster_file, output, against)
    for problem in result.warnings:
        console.warning(problem)
    if as_json:
        console.out_json(_as_json(result), result.warnings)
    else:
        for line in _lines(result):
            console.out(line)
    return ExitCode.DIFFERENCE if result.differs else ExitCode.DONE


def _lines(result: Comparison) -> Iterator[str]:
    if not result.differs:
        yield f"no difference from {result.against}"
        return
    for kind, names in (("added", result.added), ("removed", result.removed)):
        if names:
            yield _coloured(kind, f"machines: {_listed(list(names))}")
    groups: dict[tuple[Difference, ...], list[str]] = {}
    for name, differences in result.machines.items():
        groups.setdefault(differences, []).append(name)
    for shared, machines in groups.items():
        yield click.style(f"{_listed(machines)}:", bold=True)
        yield from map(_line, shared)
    if result.objects:
        yield click.style(
            "objects in the cluster (a first boot publishes them; a running cluster keeps its own):", bold=True
        )
        yield from map(_line, result.objects)


def _line(difference: Difference) -> str:
    told = dict.fromkeys((difference.before, difference.after))  # a certificate may keep the day of its expiry
    values = [value.replace("\n", " ") for value in told if value]
    if not difference.shown:
        values = [f"fingerprint {value}" for value in values]
    elif max(map(len, values), default=0) > _LONGEST:
        values = _around_the_difference(values)
    detail = f": {' → '.join(values)}" if values else ""
    return "  " + _coloured(difference.kind, f"{difference.subject}{detail}")


def _around_the_difference(values: Sequence[str]) -> list[str]:
    """Return the part of each long value that differs, with a little of what is common before it."""
    common = sum(1 for _ in takewhile(lambda letters: letters[0] == letters[-1], zip(*values, strict=False)))
    start = max(0, common - _BEFORE) if len(values) > 1 else 0  # what came or went begins at its beginning
    return [
        f"{'…' if start else ''}{value[start : start + _LONGEST]}{'…' if len(value) > start + _LONGEST else ''}"
        for value in values
    ]


def _coloured(kind: str, text: str) -> str:
    sign, colour = _SIGNS[kind]
    return click.style(f"{sign} {text}", fg=colour)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def _as_json(result: Comparison) -> dict[str, Any]:
    def roles(machines: Mapping[str, str]) -> list[dict[str, str]]:
        return [{"machine": name, "role": role} for name, role in machines.items()]

    return {
        "against": result.against,
        "differs": result.differs,
        "added": roles(result.added),
        "removed": roles(result.removed),
        "machines": [
            {"machine": name, "changes": [_change(each) for each in differences]}
            for name, differences in result.machines.items()
        ],
        "objects": [_change(each) for each in result.objects],
    }


def _change(difference: Difference) -> dict[str, Any]:
    return {
        "kind": difference.kind,
        "subject": difference.subject,
        "before": difference.before or None,
        "after": difference.after or None,
        "fingerprints": not difference.shown,
    }
