"""The kinds of places where secrets lie, as a report and ``--fail-on`` name them. It imports nothing else of kgen."""

from __future__ import annotations

from typing import Literal, get_args

PlaceKind = Literal[
    "bundle",
    "encryptedBundle",
    "clusterFile",
    "kubeconfigs",
    "api",
    "userData",
    "documents",
    "bucket",
    "reviewTree",
    "seeds",
    "lab",
    "sealKeys",
    "machines",
]
PLACE_KINDS: tuple[PlaceKind, ...] = get_args(PlaceKind)
"""In the order of a report."""
