"""What was measured, as rows: for people a table, for programs JSON."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value beside its budget; ``note`` says what else was seen (spread, ratio of what to what)."""

    group: str
    what: str
    value: float
    unit: str
    budget: float | None = None
    note: str = ""

    @property
    def within(self) -> bool | None:
        """Return whether the value keeps its budget, within a tenth of it; None where there is none."""
        return None if self.budget is None else self.value <= 1.1 * self.budget


def _number(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value:,.0f}"
    return f"{value:,.0f}" if unit == "MiB" else f"{value:,.3f}" if unit == "s" else f"{value:,.2f}"


def table(rows: Sequence[Row]) -> str:
    """Return the rows as aligned text, one block a group."""
    lines: list[str] = []
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            lines += ["", group]
        budget = "" if row.budget is None else f"budget {_number(row.budget, row.unit)}"
        verdict = {True: "ok", False: "OVER", None: ""}[row.within]
        line = f"  {row.what:<44} {_number(row.value, row.unit):>10} {row.unit:<6} {budget:<15} {verdict:<5} {row.note}"
        lines.append(line.rstrip())
    return "\n".join(lines).lstrip("\n")


def as_json(rows: Sequence[Row], runs: int) -> str:
    """Return the rows and the machine they were measured on."""
    facts = {"machine": platform.machine(), "python": platform.python_version(), "runs": runs}
    return json.dumps({**facts, "rows": [dataclasses.asdict(row) | {"within": row.within} for row in rows]}, indent=2)
