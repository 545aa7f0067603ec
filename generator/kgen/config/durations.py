"""Durations as Go writes them: ``8760h0m0s``, ``1m30s``, ``100ms``."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_TERM = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")


def go_duration(duration: timedelta) -> str:
    """Return ``duration`` as Go's ``Duration.String`` spells it."""
    return _spell(duration // timedelta(microseconds=1) * 1_000)


def canonical(text: str) -> str:
    """Return the text of a duration as Go would write it (``90s`` → ``1m30s``).

    Text that is not a duration is returned as it is: the program that reads the file reports it.
    """
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text.removeprefix("+"))
    if digits == "0":  # the only duration without a unit
        return "0s"
    terms = _TERM.findall(digits)
    if not terms or "".join(number + unit for number, unit in terms) != digits:
        return text
    nanoseconds = sum(_nanoseconds(number) * _UNITS[unit] // 10**9 for number, unit in terms)
    return (sign if nanoseconds else "") + _spell(nanoseconds)


def _nanoseconds(number: str) -> int:
    whole, _, fraction = number.partition(".")
    return int(whole or 0) * 10**9 + int(fraction[:9].ljust(9, "0"))


def _spell(nanoseconds: int) -> str:
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < 10**9:
        unit = next(unit for unit in ("ms", "µs", "ns") if nanoseconds >= _UNITS[unit])
        return _decimal(nanoseconds, _UNITS[unit]) + unit
    minutes, rest = divmod(nanoseconds, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    seconds = _decimal(rest, _UNITS["s"]) + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    if not rest:
        return str(whole)
    digits = len(str(unit)) - 1
    return f"{whole}." + str(rest).rjust(digits, "0").rstrip("0")
