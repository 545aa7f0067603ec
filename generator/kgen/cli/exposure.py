"""``kgen exposure``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console
from kgen.errors import ExitCode
from kgen.exposing.kinds import PLACE_KINDS

if TYPE_CHECKING:
    from kgen.api import ExposureReport
    from kgen.exposing.places import Place, Secret

_MOST_NAMES = 3
_REACH = len("machine")


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
        console.out_json(_as_json(report), report.warnings)
    else:
        _print(report)
    bad = [kind for kind in fail_on if kind in report.kinds]
    for kind in bad:
        console.note(f"{kind}: {'a secret may lie' if kind in report.outdated else 'a secret lies'} there")
    return ExitCode.DIFFERENCE if bad else ExitCode.DONE


def _print(report: ExposureReport) -> None:
    """Print who can read each place, then the secrets, those that lie in the same places together."""
    readers: dict[str, list[str]] = {}
    for kind, who in report.readers.items():
        readers.setdefault(who, []).append(kind)
    console.out(click.style("who can read", bold=True))
    for who, kinds in readers.items():
        console.out(f"  {', '.join(kinds)}")
        console.out(console.wrapped(f"    {who}", 4))
    groups: dict[str, list[Secret]] = {}
    for secret, places in _rows(report):
        groups.setdefault(places, []).append(secret)
    for places, secrets in groups.items():
        console.out()
        console.out(click.style(console.wrapped(f"in {places}", 3), bold=True))
        width = max(len(secret.row) for secret in secrets)
        for secret in secrets:
            head = f"  {secret.row:{width}}  {secret.reach:{_REACH}}  "
            console.out(console.wrapped(f"{head}{secret.power}", len(head)))


def _rows(report: ExposureReport) -> Iterator[tuple[Secret, str]]:
    """Yield each kind of secret and its places; those of several machines are one kind."""
    groups: dict[str, tuple[Secret, dict[str, list[Place]]]] = {}
    for secret, places in report.secrets:
        _, kinds = groups.setdefault(secret.row, (secret, {}))
        for place in places:
            kinds.setdefault(place.kind, []).append(place)
    for secret, kinds in groups.values():
        yield secret, "; ".join(_where(kind, kinds[kind]) for kind in PLACE_KINDS if kind in kinds)


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
