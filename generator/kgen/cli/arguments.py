"""Arguments that several verbs take."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

CLUSTER_FILE = click.argument("cluster_file", type=click.Path(path_type=Path))
"""The loader itself says what is wrong with a file that is missing or a directory."""

OPTIONAL_CLUSTER_FILE = click.argument("cluster_file", type=click.Path(path_type=Path), default="cluster.yaml")

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout and nothing else.")

SERVER = click.option("--server", metavar="URL", default="", help="Ask this API server; a tunnel's end will do.")
"""Without it: the cluster's endpoint, then the masters' own addresses."""


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.2 on only
    """A duration as the cluster file takes it: ``24h``, ``1h30m``, ``0``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the duration, or say what is wrong with it."""
        from kgen.config.kinds import Invalid
        from kgen.config.values import duration

        if isinstance(value, timedelta):
            return value
        try:
            return duration(value)
        except Invalid as wrong:
            self.fail(f"{wrong.message}; {wrong.hint}", param, ctx)


def output(below: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option that says below which directory a verb writes; ``below`` that is its own place."""
    return click.option(
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        default="outputs",
        metavar="DIR",
        show_default=True,
        help=f"Write to DIR/{below}.",
    )
