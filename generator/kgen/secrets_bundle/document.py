"""The bundle's text: parsed with the position of every problem, and written the same way every time."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

import yaml

from kgen.errors import Problem, ProblemsError
from kgen.secrets_bundle.model import API_VERSION, KIND, Bundle, Entry, Member, ServiceAccount

RESTORE = "restore the file from a backup: what it held cannot be computed again"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_DATE = "%Y-%m-%dT%H:%M:%SZ"
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


class _BundleDumper(_Dumper):  # type: ignore[misc]  # the C and the Python dumper share no typed base
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


class _Reader:
    """Walks the composed YAML once; every value is read as text, so nothing is guessed from how it looks."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._problems: list[Problem] = []

    def bundle(self, text: str) -> Bundle:
        root = self._compose(text)
        if not isinstance(root, yaml.MappingNode):
            self._fail(root, "", "B101", "is not a secrets bundle", RESTORE)
        fields = self._fields(root, "", _REQUIRED, _OPTIONAL)
        self._check_version(fields)
        found = {key: reader(self, fields[key], key) for key, reader in _SECTIONS.items() if key in fields}
        if self._problems:
            raise ProblemsError(self._problems)
        return Bundle(
            masters=found["masters"],
            authorities=found["authorities"],
            certificates=found["certificates"],
            service_account=found["serviceAccount"],
            tokens=found["bootstrapTokens"],
            password_hashes=found["passwordHashes"],
            verified=found.get("verified", ""),
            file=self._file,
        )

    def _compose(self, text: str) -> yaml.Node | None:
        try:
            node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
        except yaml.YAMLError as error:  # its own words may quote the text
            mark = getattr(error, "problem_mark", None)
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            message = "the secrets bundle is damaged: not valid YAML from here on"
            raise ProblemsError([Problem(self._file, line, column, "", "B101", message, RESTORE)]) from None
        return node

    def _check_version(self, fields: Mapping[str, yaml.Node]) -> None:
        for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
            if key in fields and self._text(fields[key], key) != wanted:
                hint = "use the kgen that wrote this file, or a newer one"
                self._fail(fields[key], key, "B102", f"is not {wanted!r}: this kgen cannot read the bundle", hint)

    def _report(self, node: yaml.Node | None, field: str, code: str, message: str, hint: str) -> None:
        line, column = (node.start_mark.line + 1, node.start_mark.column + 1) if node else (1, 1)
        self._problems.append(Problem(self._file, line, column, field, code, message, hint))

    def _fail(self, node: yaml.Node | None, field: str, code: str, message: str, hint: str) -> NoReturn:
        self._report(node, field, code, message, hint)
        raise ProblemsError(self._problems)

    def _items(self, node: yaml.Node, field: str) -> Iterator[tuple[yaml.Node, str, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._report(node, field, "B103", "is not a mapping", RESTORE)
            return
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if not name or name in seen:
                self._report(key, field, "B103", "holds a key twice, or one that is no text", "remove one of them")
            else:
                seen.add(name)
                yield key, name, value

    def _fields(
        self, node: yaml.Node, field: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> dict[str, yaml.Node]:
        found: dict[str, yaml.Node] = {}
        for key, name, value in self._items(node, field):
            if name in required or name in optional:
                found[name] = value
            else:
                self._report(
                    key, field, "B103", "holds a key that kgen does not know", "remove it, or use a newer kgen"
                )
        for name in required:
            if name not in found:
                self._report(node, field, "B103", f"{name!r} is missing", RESTORE)
        return found

    def _text(self, node: yaml.Node, field: str) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self._report(node, field, "B103", "is not text", RESTORE)
        return ""

    def _sequence(self, node: yaml.Node, field: str) -> list[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self._report(node, field, "B103", "is not a list", RESTORE)
        return []

    def masters(self, node: yaml.Node, field: str) -> tuple[Member, ...]:
        found: list[Member] = []
        for index, item in enumerate(self._sequence(node, field)):
            place = f"{field}[{index}]"
            fields = self._fields(item, place, ("name", "address"))
            if len(fields) == 2:
                name, address = (self._text(fields[key], f"{place}.{key}") for key in ("name", "address"))
                found.append(Member(name, address))
        return tuple(found)

    def entries(self, node: yaml.Node, field: str) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for key, name, value in self._items(node, field):
            entry = self._entry(key, value, f"{field}.{name}", key_may_be_absent=field == "authorities")
            if entry is not None:
                found[name] = entry
        return found

    def _entry(self, key: yaml.Node, node: yaml.Node, field: str, *, key_may_be_absent: bool) -> Entry | None:
        required = ("certificate", "notBefore", "notAfter", "algorithm")
        optional: tuple[str, ...] = ("key",) if key_may_be_absent else ()
        fields = self._fields(node, field, required if optional else (*required, "key"), optional)
        not_before, not_after = (self._date(fields.get(name), f"{field}.{name}") for name in ("notBefore", "notAfter"))
        certificate = self._pem(fields.get("certificate"), f"{field}.certificate", "CERTIFICATE")
        private = self._pem(fields.get("key"), f"{field}.key", "PRIVATE KEY")
        if not (certificate and not_before and not_after and "algorithm" in fields):
            return None
        algorithm = self._text(fields["algorithm"], f"{field}.algorithm")
        return Entry(certificate, private, algorithm, not_before, not_after, line=key.start_mark.line + 1)

    def service_account(self, node: yaml.Node, field: str) -> ServiceAccount | None:
        fields = self._fields(node, field, ("algorithm", "publicKey", "key"))
        public = self._pem(fields.get("publicKey"), f"{field}.publicKey", "PUBLIC KEY")
        private = self._pem(fields.get("key"), f"{field}.key", "PRIVATE KEY")
        if not (public and private and "algorithm" in fields):
            return None
        algorithm = self._text(fields["algorithm"], f"{field}.algorithm")
        return ServiceAccount(private, public, algorithm, line=node.start_mark.line)

    def _date(self, node: yaml.Node | None, field: str) -> datetime | None:
        if node is None:
            return None
        try:
            return datetime.strptime(self._text(node, field), _DATE).replace(tzinfo=UTC)
        except ValueError:
            self._report(node, field, "B103", "is not a time like 2026-01-31T12:00:00Z", RESTORE)
            return None

    def _pem(self, node: yaml.Node | None, field: str, label: str) -> str | None:
        if node is None:
            return None
        text = self._text(node, field)
        if _is_pem(text, label):
            return text
        self._report(node, field, "B103", f"is not {label} text (PEM)", RESTORE)
        return None

    def tokens(self, node: yaml.Node, field: str) -> tuple[str, ...]:
        found: list[str] = []
        for index, item in enumerate(self._sequence(node, field)):
            token = self._text(item, f"{field}[{index}]")
            if _TOKEN.fullmatch(token):
                found.append(token)
            else:
                hint = "remove it: a new token is made where one is missing"
                self._report(item, f"{field}[{index}]", "B103", "is not a bootstrap token", hint)
        return tuple(found)

    def hashes(self, node: yaml.Node, field: str) -> dict[str, str]:
        return {name: self._text(value, f"{field}.{name}") for _, name, value in self._items(node, field)}

    def verified(self, node: yaml.Node, field: str) -> str:
        return self._text(node, field)


_SECTIONS: dict[str, Callable[[_Reader, yaml.Node, str], Any]] = {
    "masters": _Reader.masters,
    "authorities": _Reader.entries,
    "certificates": _Reader.entries,
    "serviceAccount": _Reader.service_account,
    "bootstrapTokens": _Reader.tokens,
    "passwordHashes": _Reader.hashes,
    "verified": _Reader.verified,
}
_OPTIONAL = ("verified",)
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
