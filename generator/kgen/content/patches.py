"""The user's patches, applied as kubeadm does: strategic merge, JSON merge (RFC 7386) and JSON patch (RFC 6902).

Strategic merge is that of Kubernetes' ``apimachinery/pkg/util/strategicpatch``, its order of lists included, with the
directives ``$patch`` and ``$retainKeys``; the others are refused. Kubernetes takes the lists that are merged from its
types; here they are a table. kubeadm reads a patched object into Go's types and writes it again, but not the kubelet's
configuration, which stays as the patches make it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from kgen import engine
from kgen.config import patch_types
from kgen.config.kubernetes_yaml import value_at
from kgen.content.decoded import decoded
from kgen.errors import Problem, ProblemsError
from kgen.facts import programs
from kgen.model import Cluster, Machine, Patch

_MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "ports": "containerPort",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""The lists that are merged, each with the key that identifies its items: ``patchMergeKey`` in ``k8s.io/api/core/v1``.

A KubeletConfiguration has none of these; its lists are replaced, as all others.
"""

_NEVER_DECODED = "kubeletconfiguration"
_IDENTITY = (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"))


class _RefusedError(Exception):
    """A patch cannot be applied; the text gives the reason."""


def of(cluster: Cluster, machine: Machine | None, target: str) -> list[Patch]:
    """Return the patches for ``target`` of the cluster, or those that ``machine`` has in their place."""
    own = machine.patches if machine else None
    return [patch for patch in (cluster.patches if own is None else own) if patch.target == target]


def patched(cluster: Cluster, target: str, value: dict[str, Any], machine: Machine | None = None) -> dict[str, Any]:
    """Return a copy of ``value`` with the patches for ``target`` applied: the cluster's, or those of ``machine``.

    Raises:
        ProblemsError: a patch cannot be applied, or makes another object of it.
    """
    result: Any = value
    applied = of(cluster, machine, target)
    for patch in applied:
        try:
            result = _KINDS[patch.kind](result, patch.body)
            _check_identity(value, result)
        except _RefusedError as error:
            raise ProblemsError([_problem(patch, str(error))]) from None
    if applied and target != _NEVER_DECODED:
        result = decoded(result, patch_types.KINDS[target], programs.of(cluster.kubernetes_version).types)
    return dict(result)


def patched_text(cluster: Cluster, machine: Machine, target: str, text: str) -> str:
    """Return the YAML ``text`` of one object of ``machine`` with the patches for ``target``.

    Raises:
        ProblemsError: as ``patched``.
    """
    if not of(cluster, machine, target):
        return text
    return engine.to_yaml(patched(cluster, target, yaml.load(text, Loader=yaml.CSafeLoader), machine))


def _problem(patch: Patch, message: str) -> Problem:
    hint = "`kgen render` without `patches:` shows what is patched, below nodes/ and api/"
    text = f"this {patch.kind} patch does not fit {patch.target}: {message}"
    return Problem(patch.file, patch.line, patch.column, "", "K604", text, hint)


def _check_identity(before: Any, after: Any) -> None:
    for path in _IDENTITY:
        if value_at(before, path) != value_at(after, path):
            raise _RefusedError(f"{'.'.join(path)} must stay")


def _json(value: Any, operations: Any) -> Any:
    import jsonpatch  # slow to import, and few clusters have JSON patches

    try:
        return jsonpatch.apply_patch(value, operations)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise _RefusedError(str(error)) from None


def _merge(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, new in patch.items():
        if new is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), new)
    return result


def _strategic(value: Any, patch: Any) -> Any:
    match _directive(patch):
        case "delete":
            return {}
        case "replace":
            return {key: new for key, new in patch.items() if key != "$patch"}
    retained = _retained(patch, value)
    result = {key: old for key, old in value.items() if key in retained}
    for key, new in patch.items():
        old = result.get(key)
        if key == "$retainKeys":
            continue
        if new is None:
            result.pop(key, None)
        elif isinstance(old, dict) and isinstance(new, dict):
            result[key] = _strategic(old, new)
        elif isinstance(old, list) and isinstance(new, list) and key in _MERGE_KEYS:
            result[key] = _merged_lists(old, new, _MERGE_KEYS[key])
        else:
            created = _bare({key: new}, keeps=False)
            if created:
                result[key] = created[key]
            else:
                result.pop(key, None)
    return result


def _directive(patch: Mapping[str, Any]) -> str:
    """Return the value of ``$patch``, empty if absent. Directives other than it and ``$retainKeys`` are errors."""
    for key in patch:
        if key.startswith("$") and key not in ("$patch", "$retainKeys"):
            raise _RefusedError(f"the directive {key} is not supported; use a JSON patch")
    directive = patch.get("$patch", "")
    if directive not in ("", "delete", "replace"):
        raise _RefusedError(f"$patch is delete or replace, not {directive!r}")
    return str(directive)


def _retained(patch: Mapping[str, Any], value: Mapping[str, Any]) -> Iterable[str]:
    """Return the keys of ``value`` that ``$retainKeys`` keeps."""
    if "$retainKeys" not in patch:
        return value
    keys = patch["$retainKeys"]
    own = {key for key, new in patch.items() if not key.startswith("$") and new is not None}
    if not isinstance(keys, list) or not own <= set(map(str, keys)):
        raise _RefusedError("$retainKeys is a list with all the keys of the patch")
    return [str(key) for key in keys]


def _is_directive(value: Any) -> bool:
    return isinstance(value, dict) and bool(_directive(value))


def _bare(value: Any, *, keeps: bool) -> Any:
    """Return what a patch creates: its value without nulls and directives.

    Go ``keeps`` objects with ``$patch`` inside an item that is added to a list, and drops them elsewhere.
    """
    if isinstance(value, list):
        return [_bare(item, keeps=keeps) for item in value if keeps or not _is_directive(item)]
    if not isinstance(value, dict):
        return value
    _directive(value)
    given = {key: new for key, new in value.items() if new is not None and not key.startswith("$")}
    return {key: _bare(new, keeps=keeps) for key, new in given.items() if keeps or not _is_directive(new)}


def _merged_lists(old: list[Any], patch: list[Any], merge_key: str) -> list[Any]:
    """Return the items of both lists; items that are in both are merged.

    The patch's order wins; a new item comes before what is only in ``old``.
    """
    kept, new = list(old), []
    is_replaced = False
    for item in patch:
        directive = _directive(item) if isinstance(item, dict) else ""
        if directive == "replace":
            is_replaced = True
        elif directive == "delete":
            kept = [other for other in kept if _key(other, merge_key) != _key(item, merge_key)]
        else:
            new.append(item)
    if is_replaced:
        return [_bare(item, keeps=True) for item in new]
    before = [_key(item, merge_key) for item in kept]  # keys can repeat: port 53 of TCP and UDP
    wanted = [_key(item, merge_key) for item in new]
    for key, item in zip(wanted, new, strict=True):
        place = next((place for place, other in enumerate(kept) if other[merge_key] == key), None)
        if place is None:
            kept.append(_bare(item, keeps=True))
        else:
            kept[place] = _strategic(kept[place], item)
    left = [item for item in kept if item[merge_key] not in wanted]
    right = sorted((item for item in kept if item[merge_key] in wanted), key=lambda item: wanted.index(item[merge_key]))
    order = []
    while left and right:
        first, second = left[0][merge_key], right[0][merge_key]
        comes_first = second in before and before.index(first) < before.index(second)
        order.append((left if comes_first else right).pop(0))
    return [*order, *left, *right]


def _key(item: Any, merge_key: str) -> Any:
    if not isinstance(item, dict) or item.get(merge_key) is None:
        raise _RefusedError(f"an item of this list needs its {merge_key}")
    return item[merge_key]


_KINDS: Mapping[str, Callable[[Any, Any], Any]] = {"strategic": _strategic, "merge": _merge, "json": _json}
