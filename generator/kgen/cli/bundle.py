"""``kgen bundle``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console
from kgen.errors import InputError, command
from kgen.output.disk import disk_errors

if TYPE_CHECKING:
    from kgen.api import BundleFile


@click.group()
def bundle() -> None:
    """Encrypt the secrets bundle with age, or decrypt it."""


def _passphrase_options(function: Callable[..., Any]) -> Callable[..., Any]:
    asked = click.option("--passphrase", "asks", is_flag=True, help="Ask for a new passphrase, and encrypt with it.")
    file = click.option(
        "--new-passphrase-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Encrypt with the passphrase on the first line of FILE, which may be /dev/fd/3.",
    )
    return asked(file(function))


@bundle.command(short_help="Encrypt the bundle for recipients, or with a passphrase.")
@arguments.CLUSTER_FILE
@click.option("--recipient", "recipients", multiple=True, help="Whoever may decrypt it: age1…, or an SSH public key.")
@click.option(
    "--recipients-file", type=click.Path(path_type=Path), metavar="FILE", help="Recipients, one a line; # comments."
)
@_passphrase_options
@click.option("--create", is_flag=True, help="Create the bundle if there is none: it is never on the disk unencrypted.")
@arguments.JSON
def encrypt(
    cluster_file: Path,
    recipients: tuple[str, ...],
    recipients_file: Path | None,
    asks: bool,
    new_passphrase_file: Path | None,
    create: bool,
    as_json: bool,
) -> None:
    """Encrypt the bundle: it becomes `NAME.secrets.yaml.age`, which may be kept in git.

    Every verb then needs an identity, or the passphrase. kgen encrypts again whenever it adds something.
    """
    from kgen import api

    wanted = (*recipients, *(_lines(recipients_file) if recipients_file else ()))
    if bool(wanted) == bool(asks or new_passphrase_file):
        hint = f"`{command('bundle encrypt', cluster_file, '--recipient', 'RECIPIENT')}`, or with --passphrase alone"
        raise InputError("give recipients or a passphrase, not both", hint)
    passphrase = "" if wanted else _new_passphrase(new_passphrase_file)
    made = api.encrypt_bundle(cluster_file, wanted, passphrase=passphrase, create=create)
    _report(made, as_json)
    if not as_json:
        if not create:
            console.out("the plain file was removed; its blocks may still be on this disk, and in backups")
        need = "asks for the passphrase" if made.has_passphrase else "needs --identity FILE or KGEN_AGE_IDENTITY_FILE"
        console.out(f"next: `{command('certs', cluster_file)}`, which {need}, as every verb that reads the bundle")


@bundle.command(short_help="Replace the encrypted bundle by a plain one.")
@arguments.CLUSTER_FILE
@arguments.JSON
def decrypt(cluster_file: Path, as_json: bool) -> None:
    """Replace the encrypted bundle by `NAME.secrets.yaml`, mode 0600. It also decrypts what SOPS has encrypted."""
    from kgen import api

    made = api.decrypt_bundle(cluster_file)
    if as_json:
        _report(made, as_json)
    else:
        console.out(f"decrypted: {made.path}, which git must not have")


@bundle.command("edit-recipients", short_help="Show or change who can decrypt the bundle.")
@arguments.CLUSTER_FILE
@click.option("--add", multiple=True, metavar="RECIPIENT", help="Whoever may decrypt it, too.")
@click.option("--remove", multiple=True, metavar="RECIPIENT", help="Whoever may not any more.")
@_passphrase_options
@arguments.JSON
def edit_recipients(
    cluster_file: Path,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    asks: bool,
    new_passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Show who can decrypt the bundle, or change it. Recipients replace a passphrase, and a passphrase recipients."""
    from kgen import api

    has_new = bool(asks or new_passphrase_file)
    if has_new and (add or remove):
        raise InputError("give recipients or a passphrase, not both", "a passphrase replaces all recipients")
    passphrase = _new_passphrase(new_passphrase_file) if has_new else ""
    made = api.edit_recipients(cluster_file, add=add, remove=remove, passphrase=passphrase)
    _report(made, as_json)
    if remove or has_new:
        console.note("old copies, in git for example, can still be decrypted as before, and hold the same keys")


def _report(made: BundleFile, as_json: bool) -> None:
    if as_json:
        told = {"path": str(made.path), "recipients": made.recipients, "passphrase": made.has_passphrase}
        console.out_json(told)
        return
    if not (made.recipients or made.has_passphrase):
        console.out(f"{made.path} does not say who can decrypt it: another program has encrypted it")
        return
    who: Sequence[str] = made.recipients or ["whoever knows the passphrase"]
    console.out(f"{made.path} can be decrypted by:")
    for each in who:
        console.out(f"  {each}")


def _new_passphrase(file: Path | None) -> str:
    from kgen import api

    if file is not None:
        given = api.passphrase_in(file)
    else:
        given = console.ask_passphrase("New passphrase: ")
        if given != console.ask_passphrase("The same again: "):
            raise InputError("the two passphrases differ", "run the command again")
    if not given:
        raise InputError("an empty passphrase protects nothing", "choose one of several random words")
    return given


def _lines(file: Path) -> list[str]:
    try:
        with disk_errors(file):
            lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError:
        raise InputError(f"{file} is not text", "give a file with one recipient a line") from None
    return [line for line in lines if line and not line.startswith("#")]
