"""``kgen seed``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console
from kgen.errors import ExitCode

if TYPE_CHECKING:
    from kgen.api import Seed, SeedResult

_MOST_ROWS = 20


@click.command(short_help="Write NoCloud seeds: directories and ISO images.")
@arguments.CLUSTER_FILE
@arguments.output("Write to DIR/<cluster>/seed.")
@click.option("--pool", default="", metavar="POOL", help="The pool of the machines that --name gives.")
@click.option("--name", "names", multiple=True, metavar="NAME", help="Make a seed for this machine of --pool, too.")
@click.option("--drop", multiple=True, metavar="NAME", help="Remove the seed that --name made.")
@click.option("--check", is_flag=True, help="Write nothing; exit 3 if anything on disk would change.")
@arguments.JSON
def seed(
    cluster_file: Path,
    output: Path,
    pool: str,
    names: tuple[str, ...],
    drop: tuple[str, ...],
    check: bool,
    as_json: bool,
) -> int:
    """Write a NoCloud seed for each machine and pool of CLUSTER_FILE: a directory, and the same as an ISO image.

    Attach the ISO to the machine as a disk: cloud-init finds it by its label, cidata. Run `kgen render` before. The
    seed of a pool fits any machine of it, but gives it no name; --pool and --name make one that does, and later runs
    keep it. With `userData: {secrets: byReference}`, run `kgen publish` before: the seed holds the stub.
    """
    from kgen import api

    if bool(pool) != bool(names):
        raise click.UsageError("--pool and --name belong together: --pool workers --name w7")
    result = api.seed(cluster_file, output, pool=pool, names=names, drop=drop, check=check)
    for problem in result.warnings:
        console.warning(problem)
    if as_json:
        console.out_json(_as_json(result, check=check), result.warnings)
    elif check:
        for change in result.changes[:_MOST_ROWS]:
            console.out(f"{change.kind:6}  {result.root / change.path}")
        if len(result.changes) > _MOST_ROWS:
            console.out(f"… and {len(result.changes) - _MOST_ROWS:,} more")
        if not result.changes:
            console.out(f"{result.root / 'seed'} is up to date")
    else:
        _print(result)
    return ExitCode.DIFFERENCE if check and result.changes else ExitCode.DONE


def _print(result: SeedResult) -> None:
    shown = result.seeds[:_MOST_ROWS]
    rows = [
        (it.name, _kind(it), "given" if it.has_network_config else "DHCP", str(result.root / it.iso)) for it in shown
    ]
    console.out(console.table(("machine", "pool", "network", "ISO image"), rows))
    if len(result.seeds) > len(shown):
        console.out(f"… and {len(result.seeds) - len(shown):,} more")
    console.out()
    console.out(f"{result.root / 'seed'}: {len(result.seeds):,} seeds, {len(result.changes):,} files changed")
    secrets = "; the images contain secrets" if result.has_secrets else ""
    console.out(f"next: attach each machine's ISO image as a disk and start the machine{secrets}")


def _kind(seed: Seed) -> str:
    return f"{seed.pool} (template)" if seed.is_template else seed.pool or "-"


def _as_json(result: SeedResult, *, check: bool) -> dict[str, Any]:
    return {
        "root": str(result.root),
        "check": check,
        "seeds": [
            {
                "machine": it.name,
                "pool": it.pool or None,
                "template": it.is_template,
                "directory": str(result.root / it.directory),
                "iso": str(result.root / it.iso),
                "isoBytes": it.iso_bytes,
                "networkConfig": it.has_network_config,
                "mac": it.mac or None,
                "serial": it.serial or None,
                "uuid": it.uuid or None,
            }
            for it in result.seeds
        ],
        "changes": [{"path": str(result.root / change.path), "kind": change.kind} for change in result.changes],
    }
