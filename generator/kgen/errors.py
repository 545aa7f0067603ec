"""Problems as data, and the exceptions that bring them to the command line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """Exit codes of ``kgen`` (docs/reference/cli.md)."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    DIFFERENCE = 3


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One thing that is wrong in a file the user wrote, or a warning about it.

    ``line`` and ``column`` are 1-based; 0 if the problem concerns the whole file. ``field`` is the path inside the
    file, ``machines[1].address``. ``code`` is stable (docs/reference/problems.md). ``is_quotable`` is true for the
    cluster file, whose lines may be printed. Other files may be anything: ``manifests: [/etc/shadow]``.
    """

    file: str
    line: int
    column: int
    field: str
    code: str
    message: str
    hint: str = ""
    is_quotable: bool = False

    def __str__(self) -> str:
        """Return the text to print: place, field, sentence and code, then the hint on a line of its own."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        field = f" {self.field}:" if self.field else ""
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{place}:{field} {self.message} [{self.code}]{hint}"


def describe(problem: Problem) -> dict[str, object]:
    """Return the problem as JSON values."""
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "field": problem.field,
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
    }


DEFAULT_OUTPUT = Path("outputs")
"""Where clusters are rendered, unless ``--output`` says otherwise."""


def command(verb: str, cluster_file: Path, *more: str, output: Path | None = None) -> str:
    """Return a command of kgen for a hint, as a shell takes it. The default of ``output`` is left out."""
    import shlex  # only what goes wrong needs it

    where = () if output is None or output == DEFAULT_OUTPUT else ("--output", str(output))
    return shlex.join(["kgen", *verb.split(), str(cluster_file), *more, *where])


class KgenError(Exception):
    """An error that the user can fix: a sentence, a hint and an exit code. Any other exception is a bug."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep the sentence and the hint apart, because they are printed in different styles."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the sentence and, on a second line, the hint."""
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class InputError(KgenError):
    """The command line, the cluster file or the bundle is wrong, and the error has no position in a file."""

    exit_code = ExitCode.BAD_INPUT


class ProblemsError(KgenError):
    """A file is wrong. The error carries every problem found, sorted by position."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Sort the problems by their position in the file."""
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
