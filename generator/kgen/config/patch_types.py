"""Checks the values of a patch against the types of what it changes, before anything is rendered.

A strategic or merge patch has the form of its target, so its own values are checked. A JSON patch names a place in the
target with each operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from kgen.config import typed
from kgen.config.typed import Mismatch, Path, Types
from kgen.model import Patch

KINDS = {
    "etcd": "Pod",
    "kube-apiserver": "Pod",
    "kube-controller-manager": "Pod",
    "kube-scheduler": "Pod",
    "kubeletconfiguration": "KubeletConfiguration",
    "corednsdeployment": "Deployment",
    "kubeproxydaemonset": "DaemonSet",
}
"""The kinds of the objects that patches change, by target."""

_WITH_VALUE = ("add", "replace", "test")


def mismatches(patch: Patch, types: Types) -> Iterator[Mismatch]:
    """Yield what does not fit the types of the patch's target, with paths inside the patch."""
    notation = KINDS[patch.target]
    if patch.kind == "json":
        for number, operation in enumerate(patch.body):
            yield from _operation(operation, notation, types, (number,))
    else:
        yield from typed.mismatches(patch.body, notation, types)


def _operation(operation: dict[str, Any], notation: str, types: Types, path: Path) -> Iterator[Mismatch]:
    for token in operation["path"].split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        below = typed.field(notation, key, types)
        if not below:
            if notation.removeprefix("*") in types:
                yield typed.unknown(notation, key, types, (*path, "path"))
            return  # nothing is below a scalar: applying the patch fails
        notation = below
    if operation["op"] in _WITH_VALUE:
        for found in typed.mismatches(operation.get("value"), notation, types, (*path, "value")):
            name = operation["path"].rpartition("/")[2]
            is_whole = found.path == (*path, "value") and not found.is_unknown
            yield replace(found, message=f"{name} {found.message}") if is_whole else found
