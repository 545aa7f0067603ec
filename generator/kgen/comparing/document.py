"""A user-data document → what it tells its machine: a table of subjects and values.

A subject says what a value is about: ``kube-apiserver --profiling``, ``certificate apiserver``, ``file /etc/hosts``.
Two documents that give the same table make the same machine.
"""

from __future__ import annotations

import base64
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import yaml

from kgen.errors import InputError
from kgen.facts import names
from kgen.payload import Blob
from kgen.secrets_bundle.model import SealKey
from kgen.user_data import sealing

MODE_OF = "mode and owner of "

_ENVIRONMENT = re.compile(r"\b(env|extraEnvs)\b.*\bvalue$")
_PRIVATE = re.compile(r"passw|secret|token(?!.*-file)|credential|header", re.IGNORECASE)
_STATIC_POD = re.compile(
    r"/etc/kubernetes/manifests/(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)\.yaml"
)
_CONFIGURATION = re.compile(
    r"/var/lib/kubelet/(config|instance-config)\.yaml|/etc/cni/net\.d/10-kgen-bridge\.conflist"
    r"|/etc/kubernetes/(admin|super-admin|controller-manager|scheduler|kubelet|bootstrap-kubelet)\.conf"
)
"""The other files that kgen makes, and that are YAML or JSON."""
_ROUTE = re.compile(r"^route replace (\S+) via (\S+)\n", re.MULTILINE)
_PUBLIC_KEYS = (
    *("hostname", "prefer_fqdn_over_hostname", "manage_etc_hosts", "ntp", "timezone", "locale"),
    *("package_update", "package_upgrade", "package_reboot_if_required"),
)
"""The keys of cloud-init whose fields hold no secret, unless their names say so."""
_DAMAGES = (
    *(yaml.YAMLError, zlib.error, lzma.LZMAError, EOFError, OSError, RecursionError),
    *(ValueError, KeyError, TypeError, IndexError, AttributeError),
)
"""The errors of reading a document that is not one: its texts, its compressed parts, and what is not in them."""
_DERIVED = ("role", "name", "pool", "files", "owners", "objects", "blobs", "validity", "directories", "late")
"""Keys of a payload's body that have subjects of their own, or that repeat others."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a subject. One that is not ``shown`` may hold a secret: only its fingerprint is ever printed."""

    text: str = field(repr=False)
    shown: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What a document says: ``machine`` to this machine, ``objects`` to the cluster, ``blobs`` its key material."""

    role: str
    machine: Mapping[str, Value]
    objects: Mapping[str, Value]
    blobs: Mapping[str, Blob]


def read(text: bytes, place: str, seal_keys: Mapping[str, SealKey] = MappingProxyType({})) -> Told:
    """Return what the document ``text`` says; ``place`` names it in an error. ``seal_keys`` open a sealed payload.

    Raises:
        InputError: it is not a document of this kgen.
    """
    try:
        document = yaml.load(text, Loader=yaml.CSafeLoader)
        return _told(document, seal_keys)
    except _DAMAGES as error:
        raise unreadable(place) from error


def unreadable(place: str) -> InputError:
    """Return the error for a document that is damaged, or that another kgen made."""
    return InputError(
        f"{place} is damaged, sealed with a key that the bundle does not have, or made by another version of kgen",
        "render again, or compare with another one",
    )


def _told(document: Mapping[str, Any], seal_keys: Mapping[str, SealKey]) -> Told:
    machine: dict[str, Value] = {}
    body: dict[str, Any] = {}
    for key, value in document.items():
        if key == "write_files":
            for entry in value:
                content = _decoded(entry)
                if entry["path"] == str(names.PAYLOAD_PATH):
                    body = sealing.opened(json.loads(content), seal_keys)["body"]
                elif entry["path"] == str(names.RUNNER_PATH):
                    machine["first-boot program"] = Value(content)
                else:
                    machine[f"file {entry['path']}"] = Value(content)
        elif key == "packages":
            machine.update((f"package {_text(package)}", Value("", shown=True)) for package in value)
        elif key == "users":  # one that is only a name is the image's own: default
            named = [user if isinstance(user, dict) else {"name": user} for user in value]
            machine.update(_flat("cloud-init", named, key))
        elif key in _PUBLIC_KEYS:
            machine.update(_flat("cloud-init", value, key))
        else:
            machine[f"cloud-init {key}"] = Value(_json(value))
    for key, value in body.items():
        if key not in _DERIVED:
            machine.update(_flat("parameter", value, key))
    for path, mode, _, content in body["files"]:
        machine.update(_file(path, mode, body.get("owners", {}).get(path, ""), _expanded(content)))
    objects: dict[str, Value] = {}
    listed = body.get("objects", ())
    # The user's own objects are the last ones before kgen's mark: docs/reference/payload.md.
    own = range(len(listed) - body["late"], len(listed) - 1) if body.get("late") else ()
    for number, (_, manifest, fill, ttl_seconds) in enumerate(listed):
        objects.update(_object(manifest, fill, is_own=number in own))
        if ttl_seconds is not None:
            objects["lifetime of the bootstrap token"] = Value(f"{ttl_seconds} s", shown=True)
    blobs = {name: Blob(label, tuple(map(bytes.fromhex, der))) for name, (label, *der) in body["blobs"].items()}
    return Told(body["role"], machine, objects, blobs)


def _decoded(entry: Mapping[str, Any]) -> str:
    content: str = entry["content"]
    if entry.get("encoding") == "gz+b64":
        return gzip.decompress(base64.b64decode(content)).decode()
    return content


def _expanded(content: Any) -> str:
    """Return the text of a content; a place for key material stays a place, because keys are compared by themselves."""
    pieces = [content] if isinstance(content, str) else content
    return "".join(piece if isinstance(piece, str) else _json(piece) for piece in pieces)


def _file(path: str, mode: str, owner: str, text: str) -> Iterator[tuple[str, Value]]:
    """Yield the subjects of a file: the fields of those that kgen makes, else the content as a whole."""
    yield f"{MODE_OF}{path}", Value(f"{mode} {owner}".strip(), shown=True)
    if static_pod := _STATIC_POD.fullmatch(path):
        yield from _flat(static_pod[1], yaml.load(text, Loader=yaml.CSafeLoader))
    elif _CONFIGURATION.fullmatch(path):
        yield from _flat(path, yaml.load(text, Loader=yaml.CSafeLoader))
    elif path.startswith(("/etc/sysctl.d/", "/etc/modules-load.d/")):
        for line in text.splitlines():
            name, _, value = line.partition("=")
            yield f"{path} {name.strip()}", Value(value.strip(), shown=True)
    elif path == "/etc/kgen/routes":
        for network, address in _ROUTE.findall(text):
            yield f"route {network}", Value(f"via {address}", shown=True)
        yield f"file {path}", Value(_ROUTE.sub("", text))
    elif path == "/var/lib/kubelet/kubeadm-flags.env":
        yield from _flags("kubelet", text.partition("=")[2].strip().strip('"').split(" "))
    else:
        yield f"file {path}", Value(text)


def _object(manifest: dict[str, Any], fill: Any, *, is_own: bool) -> Iterator[tuple[str, Value]]:
    """Yield the fields of an object of kgen's, or an object of the user's as a whole."""
    metadata = manifest["metadata"]
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    subject = f"{manifest['kind']} {where}{metadata['name']}"
    if is_own or manifest["kind"] == "Secret":
        yield subject, Value(_json([manifest, fill]))
    elif manifest["kind"] == "ConfigMap":
        texts = {keys[-1]: _expanded(content) for keys, content in fill}
        for key, value in ({**manifest.get("data", {})} | texts).items():
            yield from _flat(f"{subject} {key}", _parsed(value))
    else:
        fields = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
        yield from _flat(subject, {**fields, **({"texts": fill} if fill else {})})


def _parsed(text: Any) -> Any:
    try:
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return text


def _flat(subject: str, value: Any, path: str = "") -> Iterator[tuple[str, Value]]:
    """Yield each field of ``value``. Entries of a list that have names are told apart by them."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            if key in ("command", "args") and isinstance(below, list):
                yield from _flags(subject, below)
            else:
                yield from _flat(subject, below, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value and all(isinstance(item, dict) and "name" in item for item in value):
        for item in value:
            rest = {key: below for key, below in item.items() if key != "name"}
            entry = f"{path}[{item['name']}]"
            yield from _flat(subject, rest, entry) if rest else [(f"{subject} {entry}", Value("", shown=True))]
    elif value != {}:
        inside = _json(value) if isinstance(value, dict | list) else ""
        shown = not (_ENVIRONMENT.search(path) or _PRIVATE.search(path) or _PRIVATE.search(inside))
        yield f"{subject} {path}".rstrip(), Value(_text(value), shown)


def _flags(program: str, words: list[str]) -> Iterator[tuple[str, Value]]:
    """Yield each flag of a command line; a flag that is given several times has its values in order."""
    flags: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("-"):
            name, _, value = word.lstrip("-").partition("=")
            flags.setdefault(name, []).append(value)
    for name, values in flags.items():
        yield f"{program} --{name}", Value(" ".join(values), shown=not _PRIVATE.search(name))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
