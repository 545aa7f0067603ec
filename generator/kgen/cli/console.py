"""Printing: results on stdout, warnings, errors and progress on stderr, colour only on a terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from kgen.errors import InputError, KgenError, Problem, ProblemsError, describe

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE_SECONDS = 1.0
"""Work that takes longer than this shows its progress."""

_PRIVATE = re.compile(r"passw|secret|token|key", re.IGNORECASE)
_SECRETS = re.compile(r"""["']?kind["']?:\s*["']?Secret\b""")
_WIDTH = 100


def wants_colour() -> bool | None:
    """Return False if colour is unwanted (https://no-color.org, dumb terminals), None to colour on terminals only."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


class ReaderGoneError(Exception):
    """The reader of stdout has closed it (``kgen render … | head -1``)."""


def out(text: str = "") -> None:
    """Print a line of the result.

    Raises:
        ReaderGoneError: the reader has closed it.
        KgenError: stdout cannot be written.
    """
    try:
        click.echo(text, color=wants_colour())
    except BrokenPipeError as gone:
        _give_up(sys.stdout)
        raise ReaderGoneError from gone
    except OSError as refused:
        _give_up(sys.stdout)
        raise KgenError(f"cannot write to the standard output: {refused.strerror}") from refused


def out_json(value: Mapping[str, object], warnings: Iterable[Problem] | None = None) -> None:
    """Print the result as JSON, with the key ``warnings`` if the verb can have any."""
    more = {} if warnings is None else {"warnings": [describe(problem) for problem in warnings]}
    out(json.dumps({**value, **more}, indent=2))


def note(text: str) -> None:
    """Print a line to stderr: it is about the work, not a result. Without a reader the work goes on."""
    try:
        click.echo(text, err=True, color=wants_colour())
    except OSError:
        _give_up(sys.stderr)


def usage_error(error: click.ClickException) -> None:
    """Print what is wrong with the command line, and the usage."""
    try:
        error.show()
    except OSError:
        _give_up(sys.stderr)


def _give_up(stream: TextIO) -> None:
    """Drop what cannot be written. The interpreter would try it once more when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def ask_passphrase(prompt: str = "Passphrase of the secrets bundle: ") -> str:
    """Return what somebody types at the terminal, which does not show it.

    Raises:
        InputError: there is no terminal, or nothing is typed (Ctrl-D).
    """
    import getpass

    try:
        Path("/dev/tty").open("rb").close()
    except OSError:
        hint = "let KGEN_AGE_PASSPHRASE_FILE name a file that holds it, or a descriptor: /dev/fd/3"
        raise InputError("a passphrase is needed, and there is no terminal to ask for it", hint) from None
    try:
        return getpass.getpass(prompt)
    except EOFError:
        note("")  # the prompt's line has no end
        raise InputError("no passphrase was given") from None


def error(failure: KgenError) -> None:
    """Print an error: every problem, or a sentence and its hint."""
    if not isinstance(failure, ProblemsError):
        note(click.style("error: ", fg="red", bold=True) + failure.message)
        if failure.hint:
            note(f"  {click.style('hint:', fg='cyan')} {failure.hint}")
        return
    for problem in failure.problems:
        note(_styled(problem, "red"))
    count = len(failure.problems)
    note(click.style(f"{count} problem{'s' if count > 1 else ''}; nothing was written.", bold=True))


def error_json(failure: KgenError, code: int) -> None:
    """Print an error as one line of JSON, as the result of a verb that was to print JSON."""
    problems = [describe(problem) for problem in failure.problems] if isinstance(failure, ProblemsError) else []
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    told = {"exitCode": code, "message": count if problems else failure.message, "hint": failure.hint}
    with suppress(ReaderGoneError, KgenError):  # the exit code says that it failed
        out(json.dumps({"error": {**told, "problems": problems}}))


def warning(problem: Problem) -> None:
    """Print a warning."""
    note(click.style("warning: ", fg="yellow", bold=True) + _styled(problem, "yellow"))


def _styled(problem: Problem, colour: str) -> str:
    """Return the text of the problem, the line of the file that it concerns, and the hint."""
    head, _, hint = str(problem).partition("\n  hint: ")
    place, colon, rest = head.partition(": ")
    text = f"{click.style(place, bold=True)}{colon}{click.style(rest, fg=colour)}{_excerpt(problem)}"
    return f"{text}\n  {click.style('hint:', fg='cyan')} {hint}" if hint else text


def _excerpt(problem: Problem) -> str:
    """Return the line of the cluster file with a caret below the column, or why the line is not shown.

    A link is never quoted: in somebody else's checkout it may lead to any file.
    """
    path = Path(problem.file)
    if not (problem.line and problem.is_quotable) or path.is_symlink():
        return ""
    try:
        text = path.read_text(encoding="utf-8")
        line = text.splitlines()[problem.line - 1]
    except (OSError, ValueError, IndexError):
        return ""
    if problem.column > len(line):
        return ""
    gutter = f"  {problem.line:>5} | "
    if private := _PRIVATE.search(line) or _SECRETS.search(text):
        return f"\n{gutter}(not shown: {private[0]!r} says that the line may hold a secret)"
    start = max(0, problem.column - 1 - _WIDTH // 2)
    shown = "".join(letter if letter.isprintable() else " " for letter in line[start : start + _WIDTH])
    caret = " " * (len(gutter) + problem.column - 1 - start) + click.style("^", fg="green", bold=True)
    return f"\n{gutter}{shown}\n{caret}"


def wrapped(text: str, indent: int) -> str:
    """Return the text in lines that fit a terminal, the later ones indented; elsewhere as it is, for grep."""
    if not sys.stdout.isatty():
        return text
    width = max(shutil.get_terminal_size().columns, 2 * indent)
    lines = textwrap.wrap(text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return an aligned table; columns in ``right`` are aligned to the right."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(aligned).rstrip()

    return "\n".join([click.style(line(headings), bold=True), *(line(row) for row in rows)])


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function for long work to call with its phase, steps done and their total. Draws on terminals only."""
    if quiet or not sys.stderr.isatty():
        yield lambda phase, done, total: None
        return
    bar = _Bar()
    try:
        yield bar.update
    finally:
        bar.stop()


class _Bar:
    """A progress bar that appears when the work has taken ``PATIENCE_SECONDS``."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._bar: Progress | None = None
        self._tasks: dict[str, int] = {}

    def update(self, phase: str, done: int, total: int) -> None:
        if self._bar is None:
            if time.monotonic() - self._start < PATIENCE_SECONDS:
                return
            self._bar = self._show()
        if phase not in self._tasks:
            self._tasks[phase] = int(self._bar.add_task(phase, total=total))
        self._bar.update(self._tasks[phase], completed=done, total=total)  # type: ignore[arg-type]

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    @staticmethod
    def _show() -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        bar = Progress(*columns, console=Console(stderr=True), transient=True)
        bar.start()
        return bar
