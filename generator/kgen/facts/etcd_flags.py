"""The flags that etcd takes, by its minor: those in ``etcd --help``, and those that etcd defines without a word there.

``etcd_flags.json`` is from the sources of v3.5.24, v3.6.8 and v3.7.0; tests/facts compares it with the programs.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files


@functools.cache
def by_minor() -> Mapping[str, Mapping[str, str]]:
    """Return the flags by minor, such as ``3.7``, oldest first: each with its type, as in ``Programs.flags``.

    A flag with a parser of its own has the type ``value``.
    """
    table: Mapping[str, Mapping[str, str]] = json.loads(
        (files("kgen.facts") / "etcd_flags.json").read_text(encoding="utf-8")
    )
    return table
