"""Public keys that travel as a dash: they follow from the private keys beside them (SEC 1, section 3.2.1)."""

from typing import Any

from .curve import doubles, multiple
from .payload import RESTORED


def points(body: Any) -> None:
    """Put the public keys back into the blobs; the payload's checksum, taken afterwards, proves them."""
    if "curve" in body:
        # The prime and the base point, in hexadecimal.
        width = len(body["curve"][0])
        prime, *base = (int(number, 16) for number in body["curve"])
        powers = doubles(prime, *base)
        blobs = body["blobs"]
        for name in blobs:
            if "-" in blobs[name][1] and name.endswith(".key"):
                key = int(blobs[name][1].partition("02010104")[2][2 : width + 2], 16)
                across, up = multiple(key, prime, powers)
                text = "%0*x%0*x" % (width, across, width, up)
                for end in ("crt", "key", "pub"):
                    other = blobs.get(name[:-3] + end, [])
                    other[1:] = [block.replace("-", text) for block in other[1:]]


RESTORED.append(points)
