"""Public keys that travel as a dash: they follow from the private keys beside them (SEC 1, sections 2.2.1 and 3.2.1).

Not made to hide how long it takes: it runs once, on the machine that the keys are for.
"""

from typing import Any

from .payload import RESTORED


def add(prime: int, left: Any, right: Any) -> Any:
    """Return the sum of two points of y² = x³ - 3x + b, neither of them at infinity, nor the other's negative."""
    slope = (
        (3 * left[0] ** 2 - 3) * pow(2 * left[1], -1, prime)
        if left == right
        else (right[1] - left[1]) * pow(right[0] - left[0], -1, prime)
    )
    across = (slope**2 - left[0] - right[0]) % prime
    return across, (slope * (left[0] - across) - left[1]) % prime


def points(body: Any) -> None:
    """Put the public keys back into the blobs; the payload's checksum, taken afterwards, proves them."""
    if "curve" in body:
        # The prime and the base point, in hexadecimal; then the base point's multiples by the powers of two.
        width = len(body["curve"][0])
        prime, *base = (int(number, 16) for number in body["curve"])
        doubles = [base]
        while len(doubles) < 4 * width:
            doubles.append(add(prime, doubles[-1], doubles[-1]))
        blobs = body["blobs"]
        for name in blobs:
            if "-" in blobs[name][1] and name.endswith(".key"):
                rest = int(blobs[name][1].partition("02010104")[2][2 : width + 2], 16)
                total: Any = None
                for double in doubles:
                    if rest & 1:
                        total = add(prime, total, double) if total else double
                    rest >>= 1
                text = "%0*x%0*x" % (width, total[0], width, total[1])
                for end in ("crt", "key", "pub"):
                    other = blobs.get(name[:-3] + end, [])
                    other[1:] = [block.replace("-", text) for block in other[1:]]


RESTORED.append(points)
