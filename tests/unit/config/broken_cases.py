"""Reads the broken cluster files below ``broken/``.

``=== title`` starts a whole file, ``==+ title`` one that goes on after BASE (so its first line is line 5). Lines that
start with ``!!`` are what must be found, all of it: line, column, field, code. After ``>> name`` come the lines of
another file, beside the cluster file; what is found there has its name before the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

DIRECTORY = Path(__file__).parent / "broken"
BASE = """\
apiVersion: kgen/v1
name: c
kubernetesVersion: v1.37.2
machines: [{name: m1, role: master, address: 10.0.0.1}]
"""
_HEAD = re.compile(r"==([=+]) (.*)")


@dataclass
class Case:
    """One broken file and the problems expected, as ``line:column field code``."""

    title: str
    lines: list[str]
    expected: list[str] = field(default_factory=list)
    others: dict[str, list[str]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return the cluster file."""
        return "".join(f"{line}\n" for line in self.lines)

    def write_others(self, directory: Path) -> None:
        """Write the files beside the cluster file."""
        for name, lines in self.others.items():
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def cases() -> Iterator[Case]:
    """Yield every case of every file, in order."""
    for path in sorted(DIRECTORY.glob("*.txt")):
        case: Case | None = None
        lines: list[str] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            head = _HEAD.fullmatch(line)
            if head:
                if case:
                    yield case
                lines = BASE.splitlines() if head[1] == "+" else []
                case = Case(f"{path.stem}: {head[2]}", lines)
            elif case and line.startswith("!! "):
                case.expected.append(line.removeprefix("!! "))
            elif case and line.startswith(">> "):
                lines = case.others.setdefault(line.removeprefix(">> "), [])
            elif case:
                lines.append(line)
        if case:
            yield case
