"""The user's static pods: a text → the file below /etc/kubernetes/manifests, or every problem in it.

The text is checked as manifests are. In addition, a static pod cannot refer to API objects
(https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from kgen.config import manifests, values
from kgen.errors import Problem
from kgen.facts import names
from kgen.model import File
from kgen.reader.kinds import Invalid

_TAKEN = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_API_OBJECTS = (
    "configMap",
    "configMapKeyRef",
    "configMapRef",
    "imagePullSecrets",
    "persistentVolumeClaim",
    "resourceClaims",
    "secret",
    "secretKeyRef",
    "secretRef",
    "serviceAccount",
    "serviceAccountName",
    "serviceAccountToken",
)
"""Fields of a pod that name an API object. The kubelet, or the admission plugin NodeRestriction, refuses them."""

_ONE_POD = "write one object of apiVersion v1 and kind Pod"
_Note = Callable[[yaml.Node, str, str, str], None]


def read(name: str, text: str) -> tuple[File | None, list[Problem]]:
    """Return the file of the static pod in ``text``, which came from the file ``name``, and what is wrong with it."""
    found, problems = manifests.objects(name, text)

    def note(node: yaml.Node, code: str, message: str, hint: str) -> None:
        mark = node.start_mark
        problems.append(Problem(name, mark.line + 1, mark.column + 1, "", code, message, hint))

    if not problems and len(found) != 1:
        problems.append(Problem(name, 1, 1, "", "K510", f"{len(found)} objects are given, not one", _ONE_POD))
    if problems:
        return None, problems
    node, body = found[0]
    _check(node, body, note)
    if problems:
        return None, problems
    path = names.MANIFESTS_DIR / f"{body['metadata']['name']}.yaml"
    return File(path, text, 0o600, images=tuple(_images(body["spec"]))), []


def _check(node: yaml.Node, body: Mapping[str, Any], note: _Note) -> None:
    kind, name, spec = f"{body['apiVersion']} {body['kind']}", body["metadata"]["name"], body.get("spec")
    if kind != "v1 Pod":
        note(node, "K510", f"{kind} is not a pod", _ONE_POD)
        return
    try:
        values.subdomain(name)
    except Invalid as invalid:
        note(manifests.at(node, "metadata", "name"), invalid.code, invalid.message, invalid.hint)
    if name in _TAKEN:
        hint = "give it another name; changes of kgen's static pods go to `patches:`"
        note(manifests.at(node, "metadata", "name"), "K512", f"kgen has a static pod {name} itself", hint)
    containers = spec.get("containers") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(containers, list) or not containers:
        note(manifests.at(node, "spec"), "K513", "the pod has no containers", "add a list spec.containers")
        return
    for place in ("containers", "initContainers"):
        for container in spec.get(place) or ():
            texts = [container.get(key) for key in ("name", "image")] if isinstance(container, dict) else [None]
            if not all(isinstance(text, str) and text for text in texts):
                hint = "give each container a name and an image"
                note(manifests.at(node, "spec", place), "K513", "a container has no name or no image", hint)
    for field in sorted(set(_references(spec))):
        hint = "use a hostPath volume, with the content in `files:`"
        note(manifests.at(node, "spec"), "K511", f"{field} names an API object, which a static pod cannot use", hint)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, below in value.items():
            if key in _API_OBJECTS and below:
                yield key
            else:
                yield from _references(below)
    elif isinstance(value, list):
        for below in value:
            yield from _references(below)


def _images(spec: Mapping[str, Any]) -> Iterator[str]:
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        yield full_reference(container["image"])


def full_reference(image: str) -> str:
    """Return an image's name as containerd keeps it: with the registry, and with a tag or digest."""
    first, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif not ({".", ":"} & set(first) or first == "localhost"):
        image = f"docker.io/{image}"
    return image if {":", "@"} & set(image.rpartition("/")[2]) else f"{image}:latest"
