"""What kubelet's and kube-proxy's configurations have in common: the user's fields over kubeadm's, and the hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from kgen.render import durations

HASH_ANNOTATION = "kubeadm.kubernetes.io/component-config.hash"

LOGGING = {
    "flushFrequency": 0,
    "options": {"json": {"infoBufferSize": "0"}, "text": {"infoBufferSize": "0"}},
    "verbosity": 0,
}
"""The ``logging`` field of both, as kubeadm writes it although it sets nothing in it."""

_OPTIONAL_DURATIONS = frozenset(
    {
        "containerLogMonitorInterval",
        "maxContainerRestartPeriod",
        "tcpCloseWaitTimeout",
        "tcpEstablishedTimeout",
    }
)
"""Durations that kubeadm's defaults leave out or give as null; the others are those whose default is ``0s``."""


def overlay(defaults: Mapping[str, Any], user: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``defaults`` with the user's fields in their places, durations spelled as Go spells them.

    An empty text or object counts as not given, an empty list as nothing at all, as for kubeadm.
    """
    result = dict(defaults)
    for key, value in user.items():
        if value is None or (not value and isinstance(value, str | Mapping)):
            continue
        if not value and isinstance(value, Sequence):
            result.pop(key, None)
            continue
        default = defaults.get(key)
        if isinstance(value, Mapping):
            result[key] = overlay(default if isinstance(default, Mapping) else {}, value)
        elif isinstance(value, str) and (default == "0s" or key in _OPTIONAL_DURATIONS):
            result[key] = durations.canonical(value)
        else:
            result[key] = value
    return result


def config_map(name: str, data: Mapping[str, str], *, generated: bool, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return a component's ConfigMap in kube-system.

    With ``generated``, when the cluster file said nothing, it carries the hash by which ``kubeadm upgrade`` knows
    that it may write the configuration anew.
    """
    metadata: dict[str, Any] = {"name": name, "namespace": "kube-system"}
    if generated:
        digest = hashlib.sha256("".join(data[key] for key in sorted(data)).encode()).hexdigest()
        metadata["annotations"] = {HASH_ANNOTATION: f"sha256:{digest}"}
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
