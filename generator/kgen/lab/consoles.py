"""A machine's console log, read for how far its first boot is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_TAIL_BYTES = 200_000
_STEP = re.compile(r"kgen: ([a-z][a-z-]*) (\d+(?:\.\d+)?) s\b")
_WAITING = re.compile(r"kgen: (waiting for [^;\r\n]*)")
_FAILED = re.compile(r"kgen: ([a-z-]+) failed: (.*)")
_TO_DO = re.compile(r"To do: (.*)")
# Escape sequences (ECMA-48: CSI; strings of OSC, DCS, SOS, PM and APC; others), and other control characters.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x1b\\|\x07)|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f]", re.DOTALL
)
_LAST_STEP = "done"
_POWER_ON = "kgen lab: power on"


@dataclass(frozen=True, slots=True)
class Stage:
    """How far the machine is since it was last powered on. ``hint`` says what to do if ``is_failed``."""

    text: str
    is_failed: bool = False
    hint: str = ""


def mark_power_on(log: Path) -> None:
    """Write a line that parts what follows from what the machine showed before it was last powered on."""
    with log.open("a", encoding="utf-8") as file:
        file.write(f"\n{_POWER_ON}\n")


def stage(log: Path) -> Stage:
    """Return what the console shows: the last finished step, the failure, or that nothing of kgen was seen yet."""
    text = tail(log).rpartition(_POWER_ON)[2]
    if "Kernel panic" in text:
        return Stage("kernel panic", is_failed=True, hint="cut its power and start it again")
    found = [match for pattern in (_STEP, _WAITING, _FAILED) for match in pattern.finditer(text)]
    if not found:
        return Stage("booting" if text.strip() else "power on")
    last = max(found, key=lambda match: match.start())
    if last.re is _FAILED:
        hint = _TO_DO.search(text, last.end())
        return Stage(f"{last[1]} failed: {last[2].strip()}", is_failed=True, hint=hint[1].strip() if hint else "")
    if last.re is _WAITING:
        return Stage(last[1].strip())
    return Stage("first boot done" if last[1] == _LAST_STEP else f"{last[1]} done")


def readable(text: str) -> str:
    """Return text of a console as lines: without what moves a terminal's cursor or changes its state."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def tail(log: Path, most: int = _TAIL_BYTES) -> str:
    """Return the end of the log; "" if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - most))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
