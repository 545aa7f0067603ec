"""``kgen certs``: what is in the bundle, when it ends, and issuing it again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console

if TYPE_CHECKING:
    from kgen.secrets_bundle.inventory import CertificateInfo


class _CertsGroup(click.Group):
    """A group whose first argument may be a cluster file: ``kgen certs prod.yaml`` is ``kgen certs show prod.yaml``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not any(arg in self.commands or arg in ctx.help_option_names for arg in args[:1]):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_CertsGroup,
    subcommand_metavar="[CLUSTER_FILE] | renew CLUSTER_FILE [NAME]...",
    short_help="Show certificates and when they end; renew them.",
)
def certs() -> None:
    """Show the certificates of a cluster and when they end; renew them.

    `kgen certs` shows those of cluster.yaml, `kgen certs prod.yaml` those of another cluster file.
    """


@certs.command(short_help="Show every certificate (what `certs` alone does).")
@arguments.OPTIONAL_CLUSTER_FILE
@arguments.JSON
def show(cluster_file: Path, as_json: bool) -> None:
    """Show every certificate in the bundle beside CLUSTER_FILE (default: cluster.yaml)."""
    from kgen import api

    found = api.certificates(cluster_file)
    now = datetime.now(UTC)
    if as_json:
        console.out(json.dumps({"certificates": [_as_json(info, now) for info in found]}, indent=2))
        return
    headings = ("name", "subject", "CA", "ends", "days left")
    rows = [
        (info.name, info.subject, info.ca or "itself", f"{info.not_after:%Y-%m-%d %H:%M} UTC", str(_days(info, now)))
        for info in found
    ]
    console.out(console.table(headings, rows, right=(4,)))


@certs.command(short_help="Issue certificates again, with new keys.")
@arguments.CLUSTER_FILE
@click.argument("names", nargs=-1, metavar="[NAME]...")
def renew(cluster_file: Path, names: tuple[str, ...]) -> None:
    """Issue certificates again, with new keys; CAs and tokens stay.

    NAME is a certificate as `kgen certs` lists it (m1/etcd/server), its last part (etcd/server: that of every
    master), or a machine (m1: all of its own). Without names all leaves are renewed.
    """
    from kgen import api

    populated = api.renew(cluster_file, names)
    for problem in populated.warnings:
        console.warning(problem)
    entries = populated.bundle.entries
    rows = [(name, f"{entries[name].not_after:%Y-%m-%d %H:%M} UTC") for name, _ in populated.reissued]
    console.out(console.table(("renewed", "ends"), rows))
    console.out(f"next: `kgen render {cluster_file}`, then rebuild the machines with their new user-data")


def _days(info: CertificateInfo, now: datetime) -> int:
    """Return the whole days that are left, negative once it has ended."""
    return (info.not_after - now).days


def _as_json(info: CertificateInfo, now: datetime) -> dict[str, Any]:
    return {
        "name": info.name,
        "subject": info.subject,
        "ca": info.ca or None,
        "notBefore": _timestamp(info.not_before),
        "notAfter": _timestamp(info.not_after),
        "daysLeft": _days(info, now),
        "sans": list(info.sans),
        "serial": info.serial,
        "algorithm": info.algorithm,
    }


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
