"""Multiples of a point of y² = x³ - 3x + b, as on P-256 and P-384 (SEC 1, section 2.2.1).

Not made to hide how long it takes: it runs once, on the machine that the keys are for.
"""

import functools
from typing import Any


@functools.cache
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


def multiple(number: int, prime: int, across: int, up: int) -> Any:
    """Return the point times a number from 1 to one less than its order.

    In Jacobian coordinates, to invert once (https://hyperelliptic.org/EFD, madd). No sum on the way is of a point and
    itself or its negative: the powers of two before one sum up to less than that, and with it to less than the order.
    """
    total: Any = None
    for right, top in doubles(prime, across, up):
        if number & 1 and not total:
            total = right, top, 1
        elif number & 1:
            left, high, scale = total
            square = scale**2 % prime
            apart = (right * square - left) % prime
            rise = (top * scale * square - high) % prime
            square = apart**2 % prime
            cube = apart * square % prime
            between = left * square
            left = (rise**2 - cube - 2 * between) % prime
            total = left, (rise * (between - left) - high * cube) % prime, scale * apart % prime
        number >>= 1
    left, high, scale = total
    inverse = pow(scale, -1, prime)
    return left * inverse**2 % prime, high * inverse**3 % prime
