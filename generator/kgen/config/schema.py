"""The cluster file's JSON Schema, made from the table of its fields."""

from __future__ import annotations

import json
from typing import Any

from kgen.config.fields import API_VERSION, CLUSTER


def schema() -> dict[str, Any]:
    """Return a JSON Schema (draft 2020-12) with descriptions, defaults and closed sets of values.

    It knows keys and types; only kgen checks names, addresses, versions and the rules across fields.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:kgen:cluster-file:{API_VERSION.removeprefix('kgen/')}",
        "title": "kgen cluster file",
        **CLUSTER.schema(),
    }


def schema_text() -> str:
    """Return the JSON Schema as the text of a file."""
    return json.dumps(schema(), indent=2) + "\n"
