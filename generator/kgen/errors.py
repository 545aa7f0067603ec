"""Problems as data, and the exceptions that carry them to the command line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of ``kgen`` (docs/reference/cli.md)."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    DIFFERENCE = 3


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One thing that is wrong in a file the user wrote, or worth a warning.

    ``line`` and ``column`` are 1-based; 0 where the problem belongs to the file as a whole.
    ``field`` is the path inside the file, ``machines[1].address``. ``code`` is stable (docs/reference/problems.md).
    """

    file: str
    line: int
    column: int
    field: str
    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Return the problem as people read it: place, field, sentence, code; the hint on a line of its own."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        field = f" {self.field}:" if self.field else ""
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{place}:{field} {self.message} [{self.code}]{hint}"


class KgenError(Exception):
    """Something a person can act on: a sentence, a hint and an exit code. Anything else is a bug."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep the sentence and the hint apart, so that the printer can style them."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the sentence and, on a second line, the hint."""
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class InputError(KgenError):
    """The command line, the cluster file or the bundle is at fault, in a way that has no position."""

    exit_code = ExitCode.BAD_INPUT


class ProblemsError(KgenError):
    """A file is at fault; carries every problem found, sorted by position."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Sort the problems as they stand in the file."""
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
