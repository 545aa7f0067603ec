"""Which public keys need not travel: those that the runner computes from the private keys beside them.

A random point does not compress; computing one takes the runner 2 ms.
``kgen/runner/points.py`` puts them back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MARK = "-"
"""Stands for a public key in the hexadecimal of a blob."""

Blobs = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve y² = x³ - 3x + b: its prime and base point in hexadecimal, and how kubeadm's SEC 1 keys on it look.

    ``key`` is the DER of RFC 5915's ECPrivateKey with parameters and public key; the group is the public key.
    """

    prime: str
    base: tuple[str, str]
    key: re.Pattern[str]


def _key(start: str, middle: str, length: int) -> re.Pattern[str]:
    return re.compile(f"{start}[0-9a-f]{{{2 * length}}}{middle}([0-9a-f]{{{4 * length}}})")


# FIPS 186-4, D.1.2.3 and D.1.2.4.
CURVES = (
    Curve(
        "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        (
            "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
            "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
        ),
        _key("30770201010420", "a00a06082a8648ce3d030107a14403420004", 32),
    ),
    Curve(
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
        (
            "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
            "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
        ),
        _key("3081a40201010430", "a00706052b81040022a16403620004", 48),
    ),
)


def curve_of(blobs: Blobs) -> Curve | None:
    """Return the curve of most keys among the blobs, None when no key is on one of ``CURVES``."""
    counts = {curve: sum(_public(blobs, name, curve) is not None for name in blobs) for curve in CURVES}
    curve = max(CURVES, key=lambda curve: counts[curve])
    return curve if counts[curve] else None


def left_out(blobs: Blobs) -> Blobs:
    """Return the blobs with a mark for the public key of every private key on their curve, in its certificate too."""
    curve = curve_of(blobs)
    if curve is None:
        return blobs
    sent = {name: [*parts] for name, parts in blobs.items()}
    for name in blobs:
        public = _public(blobs, name, curve)
        others = [name[:-3] + end for end in ("crt", "key", "pub")] if public else []
        for other in sent.keys() & others:
            label, *blocks = sent[other]
            sent[other] = [label, *(block.replace(public or "", MARK) for block in blocks)]
    return sent


def _public(blobs: Blobs, name: str, curve: Curve) -> str | None:
    """Return the point that belongs to a private key, None for another curve or encoding, and for other blobs."""
    found = curve.key.fullmatch(blobs[name][1]) if name.endswith(".key") else None
    return found and found[1]
