"""Kubernetes quantities in the form in which the API stores them: ``1024Mi`` is ``1Gi``, ``0.5`` is ``500m``.

The rules are those of https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

_QUANTITY = re.compile(r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(|[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,3})")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_SMALLEST_EXPONENT = -9
_SMALLEST = Fraction(1, 10**9)


def quantity(text: str) -> str | None:
    """Return the canonical form of a quantity, or None if ``text`` is none.

    The digits have no fraction, and the suffix is the largest possible one of its kind. A part smaller than 1n is
    rounded up. A text that needs no other scale stays as it is, which Go does too.
    """
    match = _QUANTITY.fullmatch(text)
    if not match:
        return None
    sign, digits, suffix = match.groups()
    whole, _, fraction = digits.partition(".")
    number = int(whole + fraction)
    is_binary = suffix.endswith("i")
    scale = -len(fraction) + (0 if is_binary else _exponent(suffix))
    if number % 1024 and not fraction if is_binary else _fits(whole, fraction, scale):
        return text
    factor = 1024 ** _BINARY.index(suffix) if is_binary else 1
    value = math.ceil(number * factor * Fraction(10) ** scale / _SMALLEST) * _SMALLEST
    minus = "-" if sign == "-" and value else ""
    if is_binary and value >= 1024 and value.denominator == 1:
        return minus + _binary(int(value))
    return minus + _decimal(value, has_exponent=suffix[:1] in ("e", "E") and len(suffix) > 1)


def _fits(whole: str, fraction: str, scale: int) -> bool:
    """Return whether Go keeps a decimal text: its digits, without the point, need no other suffix."""
    is_shortest = (whole + fraction)[-3:] != "000" and int(whole + fraction) != 0
    return is_shortest and scale % 3 == 0 and scale >= _SMALLEST_EXPONENT and (not fraction or int(whole or 0) != 0)


def _exponent(suffix: str) -> int:
    return _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])


def _binary(value: int) -> str:
    power = 0
    while value % 1024 == 0 and power < len(_BINARY) - 1:
        value, power = value // 1024, power + 1
    return f"{value}{_BINARY[power]}"


def _decimal(value: Fraction, *, has_exponent: bool) -> str:
    """Return digits with a decimal suffix, or with an exponent of ten that is a multiple of three."""
    exponent, digits = _SMALLEST_EXPONENT, int(value / _SMALLEST)
    while digits and digits % 1000 == 0 and (exponent < 18 or has_exponent):
        digits, exponent = digits // 1000, exponent + 3
    if not digits:
        return "0"
    if has_exponent:
        return f"{digits}e{exponent}" if exponent else str(digits)
    return str(digits) + next(suffix for suffix, power in _DECIMAL.items() if power == exponent)
