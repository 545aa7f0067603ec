"""``kgen certs``: the certificates in the bundle, when they expire, and issuing them again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console
from kgen.errors import command

if TYPE_CHECKING:
    from kgen.secrets_bundle.inventory import CertificateInfo


_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")


class _CertsGroup(click.Group):
    """A group whose first argument may be a cluster file: ``kgen certs prod.yaml`` is ``kgen certs show prod.yaml``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not any(arg in self.commands or arg in ctx.help_option_names for arg in args[:1]):
            self._refuse_misspelt(ctx, args[:1])
            args = ["show", *args]
        return super().parse_args(ctx, args)

    def _refuse_misspelt(self, ctx: click.Context, args: list[str]) -> None:
        from difflib import get_close_matches  # only needed once something is wrong

        for arg in args:
            near = get_close_matches(arg, self.commands, n=1)
            if near and not Path(arg).exists():
                raise click.UsageError(f"there is no command and no file {arg!r}; did you mean {near[0]!r}?", ctx)


@click.group(
    cls=_CertsGroup,
    subcommand_metavar="[CLUSTER_FILE] | renew CLUSTER_FILE [NAME]... | accept CLUSTER_FILE DIR | csr CLUSTER_FILE DIR",
    short_help="Show certificates and when they expire; renew them; bring your own.",
)
def certs() -> None:
    """Show the certificates of a cluster and when they expire; renew them; bring your own.

    `kgen certs` shows the certificates of cluster.yaml, `kgen certs prod.yaml` those of prod.yaml.
    """


@certs.command(short_help="Show every certificate; the same as `kgen certs`.")
@arguments.OPTIONAL_CLUSTER_FILE
@arguments.FAIL_ON
@arguments.JSON
def show(cluster_file: Path, fail_on: timedelta | None, as_json: bool) -> int:
    """Show every certificate in the bundle beside CLUSTER_FILE (default: cluster.yaml).

    Certificates that expire within 30 days are a warning.
    """
    from kgen import api

    found = api.certificates(cluster_file)
    now = datetime.now(UTC)
    warnings = api.expiry_warnings(cluster_file, now)
    for problem in warnings:
        console.warning(problem)
    if as_json:
        console.out_json({"certificates": [_as_json(info, now) for info in found]}, warnings)
    else:
        console.out(_table(found, now))
    return arguments.expiry_code(min(info.not_after for info in found), fail_on)


def _table(found: Sequence[CertificateInfo], now: datetime) -> str:
    headings = ("name", "subject", "CA", "expires", "days left")
    rows = [
        (info.name, info.subject, info.ca or info.issuer or "itself", _expiry(info.not_after), str(_days(info, now)))
        for info in found
    ]
    return console.table(headings, rows, right=(4,))


@certs.command(short_help="Issue certificates again, with new keys.")
@arguments.CLUSTER_FILE
@click.argument("names", nargs=-1, metavar="[NAME]...")
@arguments.JSON
def renew(cluster_file: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Issue certificates again, with new keys; CAs and tokens stay.

    NAME is a certificate as `kgen certs` lists it (m1/etcd/server), its last part (etcd/server: that of every
    master), or a machine (m1: all of its certificates). Without NAME all certificates but CAs are issued again.
    """
    from kgen import api

    populated = api.renew(cluster_file, names)
    for problem in populated.warnings:
        console.warning(problem)
    entries = populated.bundle.entries
    if as_json:
        renewed = [{"name": name, "notAfter": _timestamp(entries[name].not_after)} for name, _ in populated.reissued]
        console.out_json({"renewed": renewed}, populated.warnings)
        return
    rows = [(name, _expiry(entries[name].not_after)) for name, _ in populated.reissued]
    console.out(console.table(("renewed", "expires"), rows))
    console.out(f"next: `{command('render', cluster_file)}`; it says what to do on each machine")


@certs.command(short_help="Take your own CAs, keys and signed certificates into the bundle.")
@arguments.CLUSTER_FILE
@_DIRECTORY
@arguments.JSON
def accept(cluster_file: Path, directory: Path, as_json: bool) -> None:
    """Take certificates and keys from DIR into the bundle beside CLUSTER_FILE; without a bundle, make one with them.

    Files are named as `kgen certs` names certificates: ca.crt and ca.key, etcd/ca.crt, front-proxy-ca.crt,
    m1/apiserver.crt, admin.crt, sa.key. A CA without its key is an external CA: see `kgen certs csr`.
    """
    from kgen import api

    accepted = api.accept(cluster_file, directory)
    for problem in accepted.populated.warnings:
        console.warning(problem)
    if as_json:
        told = {"accepted": accepted.names, "made": accepted.made, "missing": dict(accepted.missing)}
        console.out_json(told, accepted.populated.warnings)
        return
    entries = accepted.populated.bundle.entries
    rows = [(name, _expiry(entries[name].not_after) if name in entries else "") for name in accepted.names]
    console.out(console.table(("accepted", "expires"), rows) if rows else f"{directory} has nothing new")
    if accepted.made:
        console.out(f"made by kgen: {', '.join(accepted.made)}")
    if accepted.missing:
        console.out(console.table(("to be signed", "reason"), list(accepted.missing.items())))
        console.out(f"next: `{command('certs csr', cluster_file, 'DIR')}` writes requests for them")
    else:
        console.out(f"next: `{command('render', cluster_file)}`")


@certs.command(short_help="Write requests for certificates that an external CA signs.")
@arguments.CLUSTER_FILE
@_DIRECTORY
@click.argument("names", nargs=-1, metavar="[NAME]...")
@arguments.JSON
def csr(cluster_file: Path, directory: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Write a request (PEM) into DIR for each certificate that is missing and whose CA has no key in the bundle.

    NAME, as for `kgen certs renew`, also requests certificates that are not missing, to renew them. The private keys
    stay in the bundle. Have the requests signed with the usages and names they ask for, put each certificate beside
    its request (m1/apiserver.crt), and run `kgen certs accept`.
    """
    from kgen import api

    written = api.signing_requests(cluster_file, directory, names)
    if as_json:
        told = [{"name": request.name, "ca": request.ca, "file": str(file)} for request, file in written]
        console.out_json({"requests": told})
        return
    if not written:
        console.out("no certificate is missing")
        return
    rows = [
        (str(file), str(request.ca), ", ".join(request.usages), ", ".join((*request.dns, *request.ips)))
        for request, file in written
    ]
    console.out(console.table(("request", "CA", "usages", "names"), rows))
    console.out(f"next: have them signed, then `{command('certs accept', cluster_file, str(directory))}`")


def _expiry(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _days(info: CertificateInfo, now: datetime) -> int:
    """Return the whole days that are left, negative once it has expired."""
    return (info.not_after - now).days


def _as_json(info: CertificateInfo, now: datetime) -> dict[str, Any]:
    return {
        "name": info.name,
        "subject": info.subject,
        "ca": info.ca or None,
        "issuer": info.issuer or None,
        "notBefore": _timestamp(info.not_before),
        "notAfter": _timestamp(info.not_after),
        "daysLeft": _days(info, now),
        "sans": list(info.sans),
        "serial": info.serial,
        "algorithm": info.algorithm,
    }


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
