"""The user's manifests: files → objects in the order they are published, or every problem in them.

kgen refuses here what kubectl or the API server would refuse for a reason that is in the files, because a person can
read the message now.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kgen.config import user_files
from kgen.config.kubernetes_yaml import documents, node_at, value_at
from kgen.errors import Problem
from kgen.facts.api_kinds import BUILT_IN, ApiKind, collection, group_of
from kgen.model import Manifest
from kgen.reader.report import Report, nearest, shown
from kgen.reader.tree import Node

_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
"""The namespaces that every cluster has (https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/)."""

_CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")
_FIRST = (("", "Namespace"), _CRD)
_LAST = (
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiregistration.k8s.io", "APIService"),
)
"""Kinds that make the API server call programs that do not run yet, for every later object."""

_TEXT_MAPS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "ConfigMap": (("data",),),
    "Secret": (("data",), ("stringData",)),
}
_METADATA_TEXT_MAPS: tuple[tuple[str, ...], ...] = (("metadata", "labels"), ("metadata", "annotations"))
_OBJECT = re.compile(r"""(?:^|[\s{,"'])(?:apiVersion|kind)["']?\s*:""")
"""Messages may name keys of a file that has such a key. A file without one may be anything, such as /etc/shadow."""
_SET_BY_THE_SERVER = ("resourceVersion", "uid")


@dataclass(frozen=True, slots=True)
class _Found:
    """An object of a file: its value, and the node it was read from."""

    file: str
    node: yaml.Node
    body: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        return group_of(self.body["apiVersion"]), self.body["kind"]

    def __str__(self) -> str:
        return f"{self.body['kind']} {self.body['metadata']['name']}"


def read(entries: Iterable[tuple[str, Node]], directory: Path, report: Report) -> tuple[list[Manifest], list[Problem]]:
    """Return the objects of the files named in ``entries``, and what is wrong in them.

    Paths are relative to ``directory``. A file that cannot be read is reported where the cluster file names it.
    """
    reader = _Reader()
    for path, place in entries:
        text = user_files.text(directory / path, path, place, report)
        if text is not None:
            reader.file(str(directory / path), text)
    return reader.manifests(), reader.problems


def objects(name: str, text: str) -> tuple[list[tuple[yaml.Node, dict[str, Any]]], list[Problem]]:
    """Return node and value of each object in ``text``, which came from the file ``name``, and what is wrong in it."""
    reader = _Reader()
    reader.file(name, text)
    return [(found.node, found.body) for found in reader.found], reader.problems


class _Reader:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.found: list[_Found] = []

    def file(self, name: str, text: str) -> None:
        """Collect the objects of one file, and the problems of each object alone."""
        read, flaws = documents(text)
        if flaws and not _OBJECT.search(text):
            hint = "name a file of YAML documents, each with apiVersion, kind and metadata"
            place = flaws[0].line, flaws[0].column
            self.problems.append(
                Problem(name, *place, "", "K502", "the file does not contain Kubernetes objects", hint)
            )
            return
        for flaw in flaws:
            self.problems.append(Problem(name, flaw.line, flaw.column, "", flaw.code, flaw.message, flaw.hint))
        if flaws:
            return
        for document in read:
            for node, value in _flattened(document.node, document.value):
                if self._is_object(name, node, value):
                    self.found.append(_Found(name, node, value))

    def manifests(self) -> list[Manifest]:
        """Return the objects in publish order, after noting what is wrong between them."""
        custom = self._custom_kinds()
        namespaces = {
            *_NAMESPACES,
            *(found.body["metadata"]["name"] for found in self.found if found.key == _FIRST[0]),
        }
        ranked: list[tuple[int, Manifest]] = []
        seen: dict[str, _Found] = {}
        for found in self.found:
            kind = self._kind(found, custom)
            if kind is None:
                continue
            manifest = self._manifest(found, kind, namespaces)
            path = f"{manifest.collection}/{found.body['metadata']['name']}"
            if path in seen:
                first = seen[path]
                message = f"{found} is given twice"
                hint = f"the first one is in {first.file}:{first.node.start_mark.line + 1}; keep one of them"
                self._note(found.file, at(found.node, "metadata", "name"), "metadata.name", "K507", message, hint)
            seen.setdefault(path, found)
            ranked.append((_rank(found, custom), manifest))
        return [manifest for _, manifest in sorted(ranked, key=lambda pair: pair[0])]

    def _note(self, file: str, node: yaml.Node, field: str, code: str, message: str, hint: str = "") -> None:
        mark = node.start_mark
        self.problems.append(Problem(file, mark.line + 1, mark.column + 1, field, code, message, hint))

    def _is_object(self, file: str, node: yaml.Node, value: Any) -> bool:
        """Return whether ``value`` has the fields of every object; note those that it lacks."""
        before = len(self.problems)
        if not isinstance(value, dict):
            hint = "write a mapping with apiVersion, kind and metadata"
            self._note(file, node, "", "K502", "this is not a Kubernetes object", hint)
            return False
        for path in (("apiVersion",), ("kind",), ("metadata", "name")):
            text = value_at(value, path)
            field = ".".join(path)
            if text is None:
                hint = (
                    "write a name: with a generated name every retry would create another object"
                    if field.endswith("name")
                    else ""
                )
                self._note(file, at(node, *path[:-1]), field, "K502", f"{field} is missing", hint)
            elif not isinstance(text, str) or not text:
                self._note(file, at(node, *path), field, "K502", f"{field} must be a text", "put it in quotes")
            elif field == "metadata.name" and (text in (".", "..") or set("/%") & set(text) or len(text) > 253):
                self._note(file, at(node, *path), field, "K502", f"{shown(text)} is not a name")
        namespace = value_at(value, ("metadata", "namespace"))
        if namespace is not None and not isinstance(namespace, str):
            place = at(node, "metadata", "namespace")
            self._note(
                file, place, "metadata.namespace", "K502", "metadata.namespace must be a text", "put it in quotes"
            )
        for key in _SET_BY_THE_SERVER:
            if value_at(value, ("metadata", key)) is not None:
                message = f"metadata.{key} is set by the API server, which refuses a new object with it"
                place = at(node, "metadata", key)
                self._note(
                    file,
                    place,
                    f"metadata.{key}",
                    "K508",
                    message,
                    "remove it, as all fields that an export of a running object adds",
                )
        for place_of_texts in (*_METADATA_TEXT_MAPS, *_TEXT_MAPS.get(str(value.get("kind")), ())):
            self._check_texts(file, node, value, place_of_texts)
        return len(self.problems) == before

    def _check_texts(self, file: str, node: yaml.Node, value: Any, path: tuple[str, ...]) -> None:
        texts = value_at(value, path)
        field = ".".join(path)
        if texts is not None and not isinstance(texts, dict):
            self._note(file, at(node, *path), field, "K502", f"{field} must be a mapping")
            return
        for key, text in (texts or {}).items():
            if text is not None and not isinstance(text, str):
                place = at(node, *path, key)
                message = f"{field}.{key} must be a text"
                self._note(file, place, f"{field}.{key}", "K504", message, "put it in quotes")

    def _custom_kinds(self) -> dict[tuple[str, str], ApiKind]:
        """Return the kinds that the manifests' own CustomResourceDefinitions define."""
        kinds: dict[tuple[str, str], ApiKind] = {}
        for found in self.found:
            if found.key != _CRD:
                continue
            names = {
                path: value_at(found.body, ("spec", *path.split(".")))
                for path in ("group", "names.kind", "names.plural")
            }
            versions = value_at(found.body, ("spec", "versions"))
            wrong = next((path for path, text in names.items() if not isinstance(text, str) or not text), "")
            if not wrong and not isinstance(versions, list):
                wrong = "versions"
            if wrong:
                self._note(found.file, at(found.node, "spec"), f"spec.{wrong}", "K502", f"spec.{wrong} is missing")
                continue
            served = [entry.get("name") for entry in versions if isinstance(entry, dict) and entry.get("served")]
            group, kind, plural = names.values()
            namespaced = value_at(found.body, ("spec", "scope")) == "Namespaced"
            kinds[group, kind] = ApiKind(plural, namespaced, tuple(map(str, served)))
        return kinds

    def _kind(self, found: _Found, custom: dict[tuple[str, str], ApiKind]) -> ApiKind | None:
        """Return the facts about the object's kind; note if kgen knows none, or if its version is not served."""
        api_version, name = found.body["apiVersion"], found.body["kind"]
        kind = BUILT_IN.get(found.key) or custom.get(found.key)
        if kind is None:
            known = [other for group, other in (*BUILT_IN, *custom) if group == found.key[0]]
            elsewhere = [group for group, other in (*BUILT_IN, *custom) if other == name]
            near = nearest(name, known)
            if elsewhere:
                hint = f"the kind {name} is in the API group {elsewhere[0] or 'v1'}"
            elif near:
                hint = f"did you mean {near}?"
            else:
                hint = "add the file with its CustomResourceDefinition to `manifests:`, or apply the object later"
            message = f"no kind {name} is known in {api_version}"
            self._note(found.file, at(found.node, "kind"), "kind", "K505", message, hint)
            return None
        version = api_version.rpartition("/")[2]
        if kind.versions and version not in kind.versions:
            group = f"{found.key[0]}/" if found.key[0] else ""
            message = f"{api_version} is not served for {name}"
            hint = f"write {' or '.join(group + served for served in kind.versions)}; its fields may differ"
            self._note(found.file, at(found.node, "apiVersion"), "apiVersion", "K506", message, hint)
            return None
        return kind

    def _manifest(self, found: _Found, kind: ApiKind, namespaces: set[str]) -> Manifest:
        """Return the object with its namespace: ``default`` if it needs one and gives none, as with kubectl."""
        metadata = {key: value for key, value in found.body["metadata"].items() if key != "namespace"}
        namespace = found.body["metadata"].get("namespace") or "default"
        if kind.namespaced:
            metadata["namespace"] = namespace
            if namespace not in namespaces:
                message = f"the namespace {namespace} does not exist"
                place = at(found.node, "metadata", "namespace")
                hint = f"add the Namespace {namespace} to a file of `manifests:`"
                self._note(found.file, place, "metadata.namespace", "K509", message, hint)
        mark = found.node.start_mark
        path = collection(found.body["apiVersion"], kind, namespace)
        return Manifest(path, {**found.body, "metadata": metadata}, f"{found.file}:{mark.line + 1}:{mark.column + 1}")


def _rank(found: _Found, custom: dict[tuple[str, str], ApiKind]) -> int:
    """Return the place in the order: what others need first, custom objects after their definitions, hooks last."""
    if found.key in _FIRST:
        return _FIRST.index(found.key)
    return 4 if found.key in _LAST else 3 if found.key in custom else 2


def _flattened(node: yaml.Node, value: Any) -> Iterator[tuple[yaml.Node, Any]]:
    """Yield the items of a list (``kind: List`` and the like), else the object itself."""
    items = value.get("items") if isinstance(value, dict) else None
    if isinstance(items, list) and str(value.get("kind")).endswith("List"):
        nodes = at(node, "items").value
        for below, item in zip(nodes, items, strict=True):
            yield from _flattened(below, item)
    else:
        yield node, value


def at(node: yaml.Node, *path: str) -> yaml.Node:
    """Return the node at ``path``, or the nearest one above it that there is."""
    return node_at(node, path)
