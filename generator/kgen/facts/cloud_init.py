"""cloud-init's own JSON Schemas, and what they say against a configuration.

``cloud_init_schema.json`` (user-data) and ``network_config_schema.json`` (network-config, version 2) are those of
cloud-init 26.2 without their prose (scripts/cloud-init-schema makes them). cloud-init is dual-licensed; kgen takes it
under Apache-2.0.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Literal


def flaws(
    config: Mapping[str, Any], schema: Literal["cloud_init", "network_config"] = "cloud_init"
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield path and reason of each value that cloud-init refuses. A reason shows no value: it may be a secret."""
    from jsonschema.exceptions import relevance  # slow to import, and most clusters have nothing for it

    for error in _validator(schema).iter_errors(config):
        while error.context:  # one of several forms: the one that fits best
            error = min(error.context, key=lambda each: (-len(each.path), relevance(each)))
        yield tuple(error.absolute_path), _reason(error)


@functools.cache
def _validator(name: str) -> Any:
    import jsonschema

    schema = json.loads((files("kgen") / "facts" / f"{name}_schema.json").read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


def _reason(error: Any) -> str:
    wanted = error.validator_value
    match error.validator:
        case "type":
            return f"must be of type {' or '.join(wanted) if isinstance(wanted, list) else wanted}"
        case "enum":
            return f"must be one of {', '.join(map(str, wanted))}"
        case "additionalProperties":
            known = ", ".join(error.schema.get("properties", {}))
            unknown = ", ".join(sorted(set(error.instance) - set(error.schema.get("properties", {}))))
            return f"has an unknown key: {unknown}; known keys: {known}"
        case "required":
            return f"lacks a key: {', '.join(sorted(set(wanted) - set(error.instance)))}"
        case validator:
            return f"does not fit the rule {validator}: {json.dumps(wanted)[:80]}"
