"""Arguments that several verbs take."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from kgen.cli import console
from kgen.errors import ExitCode


def _use_identity(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    from kgen.secrets_bundle import unlocking

    unlocking.use(value, console.ask_passphrase)


_IDENTITY = click.option(
    "--identity",
    type=click.Path(path_type=Path),
    metavar="FILE",
    expose_value=False,
    is_eager=True,
    callback=_use_identity,
    help="Decrypt the secrets bundle with this identity of age.  [default: KGEN_AGE_IDENTITY_FILE]",
)


def _cluster_file(**more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the argument for the cluster file, with the option that opens its bundle."""
    argument = click.argument("cluster_file", type=click.Path(path_type=Path), **more)
    return lambda function: _IDENTITY(argument(function))


CLUSTER_FILE = _cluster_file()
"""A missing file or a directory is accepted here, because the loader's errors are better."""

OPTIONAL_CLUSTER_FILE = _cluster_file(default="cluster.yaml")

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout and nothing else.")

SERVER = click.option(
    "--server", metavar="URL", default="", help="Use this API server, for example the local end of an SSH tunnel."
)
"""Without this option kgen asks the cluster's endpoint, then the masters' own addresses."""


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.2 on
    """A duration as the cluster file takes it: ``24h``, ``1h30m``, ``0``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the duration, or say what is wrong with it."""
        from kgen.config.values import duration
        from kgen.reader.kinds import Invalid

        if isinstance(value, timedelta):
            return value
        try:
            return duration(value)
        except Invalid as wrong:
            self.fail(f"{wrong.message}; {wrong.hint}", param, ctx)


class Period(Duration):
    """A duration that may also be given in days: ``30d``."""

    name = "period"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the duration, or say what is wrong with it."""
        days = value[:-1] if isinstance(value, str) and value.endswith("d") else ""
        if days.isascii() and days.isdecimal() and len(days) <= _MOST_DIGITS:
            return timedelta(days=int(days))
        return super().convert(value, param, ctx)


_MOST_DIGITS = 5  # 99,999 days, which datetime can add

FAIL_ON = click.option(
    "--fail-on",
    type=Period(),
    metavar="DURATION",
    default=None,
    help="Exit 3 if a certificate expires within DURATION: 30d, 12h.",
)


def expiry_code(earliest: datetime, fail_on: timedelta | None) -> ExitCode:
    """Return the exit code of a verb with ``FAIL_ON``; ``earliest`` is the earliest expiry it has seen."""
    is_soon = fail_on is not None and earliest - datetime.now(UTC) < fail_on
    return ExitCode.DIFFERENCE if is_soon else ExitCode.DONE


def output(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option for the directory of rendered files; ``text`` is its help: what the verb does there."""
    return click.option(
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        default="outputs",
        metavar="DIR",
        show_default=True,
        help=text,
    )
