"""Objects as a program of Kubernetes writes them that has read them into Go's types, as kubeadm does with patched ones.

Quantities have their canonical form, a struct is written though it is empty, and a field that is no pointer is left out
if it is empty (Go's ``omitempty``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kgen.config import canonical

_WRITTEN_EMPTY: Mapping[str, Mapping[str, Any]] = {
    "GRPCAction": {"service": None},
    "HTTPHeader": {"value": ""},
    "ISCSIVolumeSource": {"lun": 0},
    "SleepAction": {"seconds": 0},
    "Sysctl": {"value": ""},
}
"""Fields without ``omitempty`` that may be empty, and what is written for them (``k8s.io/api/core/v1``, v1.37)."""

_NEVER_WRITTEN = {"Deployment": ("status",), "DaemonSet": ("status",)}
"""Fields that kgen publishes no object with; see docs/reference/differences.md."""


def decoded(value: Any, notation: str, types: Mapping[str, Mapping[str, str]]) -> Any:
    """Return a value of the type ``notation``, whose structs are in ``types``, as Go writes it again.

    What does not have its type stays as it is.
    """
    bare = notation.removeprefix("*")
    if isinstance(value, list) and bare.startswith("[]"):
        return [decoded(item, bare[2:], types) for item in value]
    if isinstance(value, dict) and bare.startswith("{}"):
        return {key: decoded(item, bare[2:], types) for key, item in value.items()}
    if isinstance(value, dict) and bare in types:
        return _struct(value, bare, types)
    if bare == "quantity" and isinstance(value, str | int | float) and not isinstance(value, bool):
        return canonical.quantity(_digits(value)) or value
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if is_whole and bare.startswith(("int", "uint")) else value


def _struct(value: Mapping[str, Any], name: str, types: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    fields = types[name]
    result = dict(_WRITTEN_EMPTY.get(name, {}))
    result |= {key: item for key, item in value.items() if key not in fields}
    for key, notation in fields.items():
        given = value.get(key)
        if key in _NEVER_WRITTEN.get(name, ()):
            continue
        if notation in types:
            result[key] = decoded(given or {}, notation, types)
        elif notation == "quantity":
            result[key] = decoded(given or "0", notation, types)
        elif given is not None:
            written = decoded(given, notation, types)
            if written or notation.startswith("*"):
                result[key] = written
    return result


def _digits(value: str | int | float) -> str:
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if is_whole else value)
