"""Multiples of a point of y² = x³ - 3x + b, as on P-256 and P-384 (SEC 1, section 2.2.1).

Not made to hide how long it takes: it runs once, on the machine that the keys are for.
"""

from typing import Any


def doubles(prime: int, across: int, up: int) -> Any:
    """Return the point's multiples by the powers of two, as many as the prime has bits."""
    found: Any = []
    while len(found) < prime.bit_length():
        found.append((across, up))
        slope = (3 * across**2 - 3) * pow(2 * up, -1, prime)
        double = (slope**2 - 2 * across) % prime
        up = (slope * (across - double) - up) % prime
        across = double
    return found


def multiple(number: int, prime: int, powers: Any) -> Any:
    """Return the point whose ``doubles`` are ``powers``, times a number from 1 to one less than its order.

    No sum on the way is of a point and itself or its negative: the powers of two before one sum up to less than that,
    and with it to less than the order.
    """
    total: Any = ()
    for right, top in powers:
        if number & 1 and not total:
            total = right, top
        elif number & 1:
            left, high = total
            slope = (top - high) * pow(right - left, -1, prime)
            left = (slope**2 - left - right) % prime
            total = left, (slope * (right - left) - top) % prime
        number >>= 1
    return total
