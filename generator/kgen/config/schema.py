"""The cluster file's JSON Schema, made from the table of its fields."""

from __future__ import annotations

from typing import Any

from kgen.config.fields import CLUSTER


def schema() -> dict[str, Any]:
    """Return a JSON Schema (draft 2020-12) with descriptions, defaults and closed sets of values.

    It knows keys and types; names, addresses, versions and the rules across fields are only checked by kgen.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kgen cluster file",
        **CLUSTER.schema(),
    }
