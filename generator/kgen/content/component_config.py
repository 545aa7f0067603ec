"""Functions for the configurations of kubelet and kube-proxy: the user's fields over kubeadm's, and the hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from kgen.config.components import GoField
from kgen.reader.kinds import Integer, Kind, Text
from kgen.reader.objects import ListOf, Object

HASH_ANNOTATION = "kubeadm.kubernetes.io/component-config.hash"

LOGGING = {
    "flushFrequency": 0,
    "options": {"json": {"infoBufferSize": "0"}, "text": {"infoBufferSize": "0"}},
    "verbosity": 0,
}
"""The ``logging`` field of both configurations: kubeadm writes it with empty values."""


def overlay(defaults: Mapping[str, Any], user: Mapping[str, Any], kind: Object) -> dict[str, Any]:
    """Return ``defaults`` with the user's fields in their places, as kubeadm writes the configuration.

    ``kind`` says which fields kubeadm leaves out if they are empty. An empty text takes kubeadm's default, if there
    is one.
    """
    result = dict(defaults)
    for key, value in user.items():
        row = kind.by_key[key]
        if isinstance(row.kind, Object):
            result[key] = overlay(defaults.get(key, {}), value, row.kind)
        elif value == "" and defaults.get(key):
            continue
        elif isinstance(row, GoField) and row.drops_empty and not value:
            result.pop(key, None)
        else:
            result[key] = _written(value, row.kind)
    return result


def _written(value: Any, kind: Kind) -> Any:
    """Return a value as kubeadm writes it: the objects of a list have all fields that it never leaves out."""
    if not isinstance(kind, ListOf) or not isinstance(kind.item, Object):
        return value
    rows = (row for row in kind.item.fields if isinstance(row, GoField) and not row.drops_empty)
    zeros = {row.key: _ZEROS.get(type(row.kind)) for row in rows}
    return [overlay(zeros, item or {}, kind.item) for item in value]


_ZEROS = {Integer: 0, Text: ""}
"""What Go writes for a field that is not given, by kind; null for others."""


def config_map(name: str, data: Mapping[str, str], *, generated: bool, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return a component's ConfigMap in kube-system.

    With ``generated`` (the cluster file gives no fields), it carries the hash that allows ``kubeadm upgrade`` to
    replace the configuration.
    """
    metadata: dict[str, Any] = {"name": name, "namespace": "kube-system"}
    if generated:
        metadata["annotations"] = {HASH_ANNOTATION: _digest(data)}
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}


def is_generated(found: Mapping[str, Any]) -> bool:
    """Return whether a component's ConfigMap is as kubeadm generated it: it carries the hash of its data."""
    annotations = found["metadata"].get("annotations") or {}
    return bool(annotations.get(HASH_ANNOTATION) == _digest(found.get("data") or {}))


def _digest(data: Mapping[str, str]) -> str:
    return "sha256:" + hashlib.sha256("".join(data[key] for key in sorted(data)).encode()).hexdigest()
