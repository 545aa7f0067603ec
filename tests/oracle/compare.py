"""Compares field by field what kgen rendered for a machine with what the real kubeadm made.

A tree of files and objects is parsed first, into a view: YAML becomes objects, certificates and kubeconfigs become
what they say, command lines become flags. So a difference is one field of one file or object. Random bytes never
differ, and a view holds no private key. kubeadm v1.33 prints an empty ``creationTimestamp`` wherever there is
metadata; a view leaves it out.
"""

from __future__ import annotations

import base64
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ABSENT = "absent"
WHOLE = "(whole)"

View = Mapping[str, Any]
"""The parsed files (by absolute path) and API objects (by kind and name) of a machine, and ``Node``, its marks."""


@dataclass(frozen=True)
class Tree:
    """``files``: absolute path on the node → mode and content. ``objects``: what is created through the API.

    ``issued`` is when the certificates were made; their validity is compared relative to it. ``marks`` are the
    labels and taints that the Node object gets through the API.
    """

    files: Mapping[str, tuple[int, bytes]]
    objects: Sequence[Mapping[str, Any]]
    issued: datetime
    marks: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class Difference:
    """One field of one file or object that differs; ``ABSENT`` where one side does not have it."""

    where: str
    what: str
    ours: str = field(compare=False)
    theirs: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.where} · {self.what}\n    kgen:    {self.ours}\n    kubeadm: {self.theirs}"


def differences(ours: View, theirs: View) -> list[Difference]:
    """Return every field in which the views differ, sorted by file and field."""
    found = []
    for where in sorted(ours.keys() | theirs.keys()):
        if where not in ours or where not in theirs:
            present = ["present" if where in view else ABSENT for view in (ours, theirs)]
            found.append(Difference(where, WHOLE, *present))
        else:
            found += [Difference(where, what, a, b) for what, a, b in _walk("", ours[where], theirs[where])]
    return sorted(found)


def _walk(path: str, ours: Any, theirs: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in sorted(ours.keys() | theirs.keys(), key=str):
            place = f"{path}.{key}" if path else str(key)
            yield from _walk(place, ours.get(key, ABSENT), theirs.get(key, ABSENT))
    elif _are_command_lines(ours, theirs):
        yield from _walk_flags(path, ours, theirs)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            yield from _walk(f"{path}[{index}]", a, b)
    elif ours != theirs or type(ours) is not type(theirs):
        yield path, str(ours), str(theirs)


def _are_command_lines(*values: Any) -> bool:
    if not all(isinstance(value, list) and all(isinstance(item, str) for item in value) for value in values):
        return False
    return any(item.startswith("--") for value in values for item in value)


def _walk_flags(path: str, ours: list[str], theirs: list[str]) -> Iterator[tuple[str, str, str]]:
    """Compare command lines: a flag that one side lacks, or has elsewhere, is a difference of that flag alone."""
    left, right = ([item.partition("=")[0] for item in items] for items in (ours, theirs))
    for tag, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            for mine, other in zip(ours[a:b], theirs[c:d], strict=True):
                if mine != other:
                    yield f"{path}[{mine.partition('=')[0]}]", mine, other
        else:
            yield from ((f"{path}[{item.partition('=')[0]}]", item, ABSENT) for item in ours[a:b])
            yield from ((f"{path}[{item.partition('=')[0]}]", ABSENT, item) for item in theirs[c:d])


def load_yaml(text: str | bytes) -> Any:
    """Return a YAML document, parsed by libyaml, which is several times faster than PyYAML's own parser."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


def view(tree: Tree) -> View:
    """Return what the files and objects of a tree say."""
    found: dict[str, Any] = {"Node": dict(tree.marks)}
    for path, (mode, content) in tree.files.items():
        found[path] = {"mode": f"{mode:04o}", **_file_view(path, content, tree)}
    token_ids = [body["metadata"]["name"] for body in tree.objects if body["kind"] == "Secret"]
    for body in tree.objects:
        key = _object_key(body, token_ids)
        assert key not in found, f"created twice: {key}"
        found[key] = _object_view(body, tree)
    return found


def _object_key(body: Mapping[str, Any], token_ids: Sequence[str]) -> str:
    """Return kind and name; a bootstrap token's Secret, whose name is random, is called by its number."""
    metadata = body["metadata"]
    name = str(metadata["name"])
    if body["kind"] == "Secret":
        name = f"bootstrap-token-<id {1 + token_ids.index(name)}>"
    namespace = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    return f"{body['kind']} {namespace}{name}"


def _file_view(path: str, content: bytes, tree: Tree) -> dict[str, Any]:
    if path.endswith(".crt"):
        return _certificate_view(content, tree)
    if path.endswith((".key", ".pub")):
        return {"key": _key_view(content)}
    if path.endswith(".conf") and path.startswith("/etc/kubernetes/"):
        return _kubeconfig_view(load_yaml(content), tree)
    if path.endswith(".env"):
        name, _, value = content.decode().rstrip("\n").partition("=")
        return {name: _split(shlex.split(value)[0])}
    if path.endswith((".yaml", ".yml")):
        return dict(_without_empty_timestamps(load_yaml(content)))
    return {"text": content.decode()}


def _split(arguments: str) -> list[str]:
    """Return the arguments, split at blanks as systemd splits an unquoted variable."""
    return ["", *arguments.split()]


def _without_empty_timestamps(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = (item for item in value.items() if item != ("creationTimestamp", None))
        return {key: _without_empty_timestamps(below) for key, below in kept}
    return [_without_empty_timestamps(item) for item in value] if isinstance(value, list) else value


def _object_view(body: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    view = dict(_without_empty_timestamps(body))
    data = dict(body.get("data", {}))
    if body["kind"] == "Secret":
        data = {key: base64.b64decode(value).decode() for key, value in data.items()}
        if "expiration" in data:
            data["expiration"] = _minutes(datetime.fromisoformat(data["expiration"]), tree.issued)
    for key, text in data.items():
        parsed = load_yaml(text) if body["kind"] == "ConfigMap" and ":\n" in text and key != "Corefile" else text
        data[key] = _kubeconfig_view(parsed, tree) if key == "kubeconfig" else parsed
    return view | {"data": data} if data else view


def _kubeconfig_view(config: Any, tree: Tree) -> dict[str, Any]:
    """Return a kubeconfig with its certificates decoded; the cluster's CA becomes the path of its file."""
    for cluster in config["clusters"]:
        _decode(cluster["cluster"], "certificate-authority-data", tree)
    for user in config["users"] or ():
        _decode(user["user"], "client-certificate-data", tree)
        if "client-key-data" in user["user"]:
            user["user"]["client-key-data"] = _key_view(base64.b64decode(user["user"]["client-key-data"]))
    return dict(config)


def _decode(fields: dict[str, Any], name: str, tree: Tree) -> None:
    if name in fields:
        pem = base64.b64decode(fields[name], validate=True)
        is_ca = pem == tree.files["/etc/kubernetes/pki/ca.crt"][1]
        fields[name] = "/etc/kubernetes/pki/ca.crt" if is_ca else _certificate_view(pem, tree)


def _key_view(pem: bytes) -> str:
    label = pem.decode().splitlines()[0].strip("-")
    if label.endswith("PUBLIC KEY"):
        return f"{label} {_public_key(serialization.load_pem_public_key(pem))}"
    # Validation of an RSA key takes a fifth of a second, and kgen and kubeadm made these keys just now.
    private = serialization.load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    return f"{label} {_public_key(private.public_key())}"


def _public_key(key: Any) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA-{key.key_size}, exponent {key.public_numbers().e}"
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return f"ECDSA {key.curve.name}"


def _certificate_view(pem: bytes, tree: Tree) -> dict[str, Any]:
    certificate, *others = x509.load_pem_x509_certificates(pem)
    extensions = [_extension_view(extension) for extension in certificate.extensions]
    return {
        "certificates": 1 + len(others),
        "version": certificate.version.name,
        "serial": "positive, 63 bits at most" if 0 < certificate.serial_number < 2**63 else certificate.serial_number,
        "subject": _subject(certificate),
        "issuer": certificate.issuer.rfc4514_string(),
        "publicKey": _public_key(certificate.public_key()),
        "signature": certificate.signature_algorithm_oid._name,
        "notBefore": _minutes(certificate.not_valid_before_utc, tree.issued),
        "notAfter": _minutes(certificate.not_valid_after_utc, tree.issued),
        "extensions": dict(extensions),
        "extensionOrder": [name for name, _ in extensions],
    }


def _subject(certificate: x509.Certificate) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a Node's name may be longer than X.520 allows
        return certificate.subject.rfc4514_string()


def _minutes(moment: datetime, issued: datetime) -> str:
    return f"{round((moment - issued).total_seconds() / 60)} minutes from issue"


def _extension_view(extension: x509.Extension[Any]) -> tuple[str, Any]:
    value = extension.value
    name = extension.oid._name
    if isinstance(value, x509.SubjectAlternativeName):
        said: Any = [f"{type(entry).__name__}:{entry.value}" for entry in value]
    elif isinstance(value, x509.ExtendedKeyUsage):
        said = [usage._name for usage in value]
    elif isinstance(value, x509.SubjectKeyIdentifier | x509.AuthorityKeyIdentifier):
        said = "present"
    elif isinstance(value, x509.KeyUsage):
        usages = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        said = [usage for usage in (*usages, "key_cert_sign", "crl_sign") if getattr(value, usage)]
    elif isinstance(value, x509.BasicConstraints):
        said = f"CA={value.ca}, path length {value.path_length}"
    else:
        said = str(value)
    return name, {"critical": extension.critical, "value": said}
