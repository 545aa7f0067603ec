"""``kgen exposure``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console
from kgen.errors import ExitCode
from kgen.exposing.kinds import PLACE_KINDS

if TYPE_CHECKING:
    from kgen.api import ExposureReport
    from kgen.exposing.places import Place

_MOST_NAMES = 3


@click.command(short_help="Show every secret: where it lies, who can read it, what it is good for.")
@arguments.CLUSTER_FILE
@click.option(
    "--fail-on",
    type=click.Choice(PLACE_KINDS),
    metavar="PLACE",
    multiple=True,
    help=f"Exit 3 if a secret lies in such a place: {', '.join(PLACE_KINDS)}. May be given several times.",
)
@arguments.output("Look in DIR/<cluster> for seeds and review files.")
@arguments.JSON
def exposure(cluster_file: Path, fail_on: tuple[str, ...], output: Path, as_json: bool) -> int:
    """Show every secret of the cluster of CLUSTER_FILE: where it lies, who can read it there, and what for.

    No secret is printed, and nothing is written. What your own files, manifests and cloud-init keys contain is not
    known to kgen and not in the report.
    """
    from kgen import api

    report = api.exposures(cluster_file, output)
    for problem in report.warnings:
        console.warning(problem)
    if as_json:
        console.out(json.dumps(_as_json(report), indent=2))
    else:
        _print(report)
    bad = [kind for kind in fail_on if kind in report.kinds]
    for kind in bad:
        console.note(f"{kind}: {'a secret may lie' if kind in report.outdated else 'a secret lies'} there")
    return ExitCode.DIFFERENCE if bad else ExitCode.DONE


def _print(report: ExposureReport) -> None:
    console.out(click.style("who can read", bold=True))
    for kind, who in report.readers.items():
        console.out(f"  {kind}: {who}")
    console.out()
    rows = list(_rows(report))
    console.out(console.table(("secret", "lies in", "reach", "who has it can"), rows))


def _rows(report: ExposureReport) -> Iterator[tuple[str, ...]]:
    """Yield a row for each kind of secret; those of several machines share it."""
    groups: dict[str, tuple[Any, dict[str, list[Place]]]] = {}
    for secret, places in report.secrets:
        _, kinds = groups.setdefault(secret.row, (secret, {}))
        for place in places:
            kinds.setdefault(place.kind, []).append(place)
    for row, (secret, kinds) in groups.items():
        yield (
            row,
            "; ".join(_where(kind, kinds[kind]) for kind in PLACE_KINDS if kind in kinds),
            secret.reach,
            secret.power,
        )


def _where(kind: str, places: Sequence[Place]) -> str:
    machines = list(dict.fromkeys(place.machine for place in places if place.machine))
    if not machines:
        return kind
    more = f" and {len(machines) - _MOST_NAMES:,} more" if len(machines) > _MOST_NAMES else ""
    return f"{kind} of {', '.join(machines[:_MOST_NAMES])}{more}"


def _as_json(report: ExposureReport) -> dict[str, Any]:
    return {
        "root": str(report.root),
        "provider": report.provider or None,
        "readers": report.readers,
        "outdated": report.outdated,
        "secrets": [
            {
                "name": secret.name,
                "kind": secret.row,
                "reach": secret.reach,
                "power": secret.power,
                "places": [
                    {"kind": place.kind, "path": place.path, "machine": place.machine or None} for place in places
                ],
            }
            for secret, places in report.secrets
        ],
    }
