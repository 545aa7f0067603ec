"""The bundle's text: parsed with the position of every problem, and written the same way every time."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_network
from typing import Any

import yaml

from kgen.errors import ProblemsError
from kgen.secrets_bundle.model import API_VERSION, KIND, Bundle, Entry, Member, ServiceAccount
from kgen.secrets_bundle.nodes import RESTORE, NodeReader

_DATE = "%Y-%m-%dT%H:%M:%SZ"
_DATE_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_TOKEN = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_PEM = re.compile(r"(?:-----BEGIN ([A-Z0-9 ]+)-----\n([A-Za-z0-9+/=\n]+)-----END \1-----\n)+")
_HEADER = """\
# The secrets of a kgen cluster: what came from randomness or the clock, made once and kept by every later render.
# Who holds this file is the cluster's administrator. Keep it private, back it up, never commit it unencrypted.
"""


def parse(text: str, file: str) -> Bundle:
    """Return the bundle in ``text``; ``file`` is its name in messages, which never show a value.

    Raises:
        ProblemsError: the text is damaged; every problem with its line and column.
    """
    return _Reader(file).bundle(text)


def dump(bundle: Bundle) -> str:
    """Return the file's text: the same for equal bundles."""
    return _HEADER + yaml.dump(
        _plain(bundle), Dumper=_BundleDumper, sort_keys=False, default_flow_style=False, width=1000
    )


class _BundleDumper(yaml.CSafeDumper):
    """Writes texts of several lines as they are."""


def _represent_text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_BundleDumper.add_representer(str, _represent_text)


def _plain(bundle: Bundle) -> dict[str, Any]:
    pair = bundle.service_account
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "masters": [{"name": member.name, "address": member.address} for member in bundle.masters],
        "authorities": {name: _plain_entry(entry) for name, entry in bundle.authorities.items()},
        "certificates": {name: _plain_entry(entry) for name, entry in bundle.certificates.items()},
        "serviceAccount": {"algorithm": pair.algorithm, "publicKey": pair.public, "key": pair.key},
        "bootstrapTokens": list(bundle.tokens),
        "passwordHashes": dict(bundle.password_hashes),
        **({"podCIDRs": dict(bundle.pod_ranges)} if bundle.pod_ranges else {}),
        "verified": bundle.verified,
    }


def _plain_entry(entry: Entry) -> dict[str, str]:
    plain = {
        "notBefore": entry.not_before.strftime(_DATE),
        "notAfter": entry.not_after.strftime(_DATE),
        "algorithm": entry.algorithm,
        "certificate": entry.certificate,
    }
    return plain if entry.key is None else {**plain, "key": entry.key}


class _Reader(NodeReader):
    """Knows the sections of a bundle."""

    def bundle(self, text: str) -> Bundle:
        root = self.compose(text)
        if not isinstance(root, yaml.MappingNode):
            self.fail(root, "", "B101", "is not a secrets bundle", RESTORE)
        fields = self.fields(root, "", _REQUIRED, _OPTIONAL)
        self._check_version(fields)
        found = {key: reader(self, fields[key], key) for key, reader in _SECTIONS.items() if key in fields}
        if self.problems:
            raise ProblemsError(self.problems)
        return Bundle(
            masters=found["masters"],
            authorities=found["authorities"],
            certificates=found["certificates"],
            service_account=found["serviceAccount"],
            tokens=found["bootstrapTokens"],
            password_hashes=found["passwordHashes"],
            pod_ranges=found.get("podCIDRs", {}),
            verified=found.get("verified", ""),
            file=self.file,
        )

    def _check_version(self, fields: Mapping[str, yaml.Node]) -> None:
        for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
            if key in fields and self.text(fields[key], key) != wanted:
                hint = "use the kgen that wrote this file, or a newer one"
                self.fail(fields[key], key, "B102", f"is not {wanted!r}: this kgen cannot read the bundle", hint)

    def masters(self, node: yaml.Node, field: str) -> tuple[Member, ...]:
        found: list[Member] = []
        for index, item in enumerate(self.sequence(node, field)):
            place = f"{field}[{index}]"
            fields = self.fields(item, place, ("name", "address"))
            if len(fields) == 2:
                name, address = (self.text(fields[key], f"{place}.{key}") for key in ("name", "address"))
                found.append(Member(name, address))
        return tuple(found)

    def entries(self, node: yaml.Node, field: str) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for key, name, value in self.items(node, field):
            entry = self._entry(key, value, f"{field}.{name}", key_may_be_absent=field == "authorities")
            if entry is not None:
                found[name] = entry
        return found

    def _entry(self, key: yaml.Node, node: yaml.Node, field: str, *, key_may_be_absent: bool) -> Entry | None:
        required = ("certificate", "notBefore", "notAfter", "algorithm")
        optional: tuple[str, ...] = ("key",) if key_may_be_absent else ()
        fields = self.fields(node, field, required if optional else (*required, "key"), optional)
        not_before, not_after = (self._date(fields.get(name), f"{field}.{name}") for name in ("notBefore", "notAfter"))
        certificate = self._pem(fields.get("certificate"), f"{field}.certificate", "CERTIFICATE")
        private = self._pem(fields.get("key"), f"{field}.key", "PRIVATE KEY")
        if not (certificate and not_before and not_after and "algorithm" in fields):
            return None
        algorithm = self.text(fields["algorithm"], f"{field}.algorithm")
        return Entry(certificate, private, algorithm, not_before, not_after, line=key.start_mark.line + 1)

    def service_account(self, node: yaml.Node, field: str) -> ServiceAccount | None:
        fields = self.fields(node, field, ("algorithm", "publicKey", "key"))
        public = self._pem(fields.get("publicKey"), f"{field}.publicKey", "PUBLIC KEY")
        private = self._pem(fields.get("key"), f"{field}.key", "PRIVATE KEY")
        if not (public and private and "algorithm" in fields):
            return None
        algorithm = self.text(fields["algorithm"], f"{field}.algorithm")
        return ServiceAccount(private, public, algorithm, line=node.start_mark.line + 1)

    def _date(self, node: yaml.Node | None, field: str) -> datetime | None:
        if node is None:
            return None
        text = self.text(node, field)
        if _DATE_TEXT.fullmatch(text):
            with suppress(ValueError):  # the 31st of February
                return datetime.fromisoformat(text)
        self.report(node, field, "B103", "is not a time like 2026-01-31T12:00:00Z", RESTORE)
        return None

    def _pem(self, node: yaml.Node | None, field: str, label: str) -> str | None:
        if node is None:
            return None
        text = self.text(node, field)
        if _is_pem(text, label):
            return text
        self.report(node, field, "B103", f"is not {label} text (PEM)", RESTORE)
        return None

    def tokens(self, node: yaml.Node, field: str) -> tuple[str, ...]:
        found: list[str] = []
        for index, item in enumerate(self.sequence(node, field)):
            token = self.text(item, f"{field}[{index}]")
            if _TOKEN.fullmatch(token):
                found.append(token)
            else:
                hint = "remove it: a new token is made where one is missing"
                self.report(item, f"{field}[{index}]", "B103", "is not a bootstrap token", hint)
        return tuple(found)

    def hashes(self, node: yaml.Node, field: str) -> dict[str, str]:
        return {name: self.text(value, f"{field}.{name}") for _, name, value in self.items(node, field)}

    def pod_ranges(self, node: yaml.Node, field: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for _, name, value in self.items(node, field):
            text = self.text(value, f"{field}.{name}")
            try:
                found[name] = str(ip_network(text))
            except ValueError:
                self.report(value, f"{field}.{name}", "B103", "is not a network", RESTORE)
        return found

    def verified(self, node: yaml.Node, field: str) -> str:
        return self.text(node, field)


_SECTIONS: dict[str, Callable[[_Reader, yaml.Node, str], Any]] = {
    "masters": _Reader.masters,
    "authorities": _Reader.entries,
    "certificates": _Reader.entries,
    "serviceAccount": _Reader.service_account,
    "bootstrapTokens": _Reader.tokens,
    "passwordHashes": _Reader.hashes,
    "podCIDRs": _Reader.pod_ranges,
    "verified": _Reader.verified,
}
_OPTIONAL = ("podCIDRs", "verified")
_REQUIRED = ("apiVersion", "kind", *(key for key in _SECTIONS if key not in _OPTIONAL))


def _is_pem(text: str, label: str) -> bool:
    if not _PEM.fullmatch(text):
        return False
    try:
        for found, body in re.findall(r"-----BEGIN ([A-Z0-9 ]+)-----\n([^-]+)-----END", text):
            base64.b64decode(body.replace("\n", ""), validate=True)
            if not found.endswith(label):
                return False
    except binascii.Error:
        return False
    return True
