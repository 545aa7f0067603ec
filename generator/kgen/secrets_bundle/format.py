"""The text of the secrets bundle: reads it with the position of every problem, and writes it.

Equal bundles have the same text. Its ``checksums`` find what no verification of keys and certificates can find: another
token, another name of a machine, a line that is gone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from ipaddress import ip_network
from typing import Any

import yaml

from kgen.errors import ProblemsError
from kgen.reader.kinds import BAD, Boolean, Invalid, Text
from kgen.reader.objects import Draft, Field, ListOf, MapOf, Object
from kgen.reader.report import Finding, Report
from kgen.reader.tree import Mapping as MappingNode
from kgen.reader.tree import Node, Scalar, compose
from kgen.secrets_bundle.model import (
    API_VERSION,
    KIND,
    Bundle,
    EncryptionKey,
    Entry,
    Member,
    OldToken,
    SealKey,
    ServiceAccount,
)
from kgen.secrets_bundle.source import ENCRYPTION_KEY_BYTES

RESTORE = "restore the file from a backup: its content cannot be computed again"

_DATE = "%Y-%m-%dT%H:%M:%SZ"
_DATE_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_TOKEN = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_PEM = re.compile(r"(?:-----BEGIN ([A-Z0-9 ]+)-----\n([A-Za-z0-9+/=\n]+)-----END \1-----\n)+")
_SUMS = "checksums"
_WITHOUT_SUM = (_SUMS, "verified", "ageRecipients")
_SUM_DIGITS = 8
_SUMS_WIDTH = 116
_WHY = ": the file is damaged, or somebody edited it"
_EDITED = f"restore the file from a backup; if you edited it yourself, remove its key `{_SUMS}`, too"
_HEADER = """\
# The secrets of a kgen cluster: what came from randomness or the clock, made once and kept by every later render.
# Who holds this file is the cluster's administrator. Keep it private, back it up, never commit it unencrypted.
"""


def parse(text: str, file: str) -> Bundle:
    """Return the bundle in ``text``; ``file`` is its name in messages, which never show a value.

    Raises:
        ProblemsError: the text is damaged; every problem with its line and column.
    """
    report = Report(_reword, is_quotable=False)
    root, flaws = compose(text)
    for flaw in flaws:
        report.flaw(flaw)
    draft = BAD
    if isinstance(root, MappingNode):
        draft = BAD if _has_another_version(root, report) else _BUNDLE.read(root, report)
        if not report.problems(file, root)[0]:
            _check_sums(root, report)
    elif root is not None:
        report.error(root, "B101", "is not a secrets bundle", RESTORE)
    errors, _ = report.problems(file, root)
    if errors:
        raise ProblemsError(errors)
    return _bundle(draft, file)


def dump(bundle: Bundle) -> str:
    """Return the text of the bundle's file."""
    plain = _plain(bundle)
    sums = sorted({_sum(path, text) for path, text in _values(plain)})
    head = {key: plain.pop(key) for key in ("apiVersion", "kind")}
    plain = {**head, _SUMS: textwrap.fill(" ".join(sums), _SUMS_WIDTH) + "\n", **plain}  # first: a torn file has them
    return _HEADER + yaml.dump(plain, Dumper=_BundleDumper, sort_keys=False, default_flow_style=False, width=1000)


class _BundleDumper(yaml.CSafeDumper):
    """A dumper that writes texts of several lines as literal blocks."""


def _represent_text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_BundleDumper.add_representer(str, _represent_text)


def _values(plain: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each value that has a checksum, with the keys above it."""
    if isinstance(plain, dict):
        for key, value in plain.items():
            if path or key not in _WITHOUT_SUM:
                yield from _values(value, (*path, key))
    elif isinstance(plain, list):
        for value in plain:
            yield from _values(value, path)
    else:
        yield path, "true" if plain is True else plain


def _nodes(node: Node, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Scalar]]:
    """Yield the same of a file: each value's node, with the keys above it."""
    if isinstance(node, MappingNode):
        for key, (_, value) in node.entries.items():
            if path or key not in _WITHOUT_SUM:
                yield from _nodes(value, (*path, key))
    elif isinstance(node, Scalar):
        yield path, node
    else:
        for item in node.items:
            yield from _nodes(item, path)


def _sum(path: tuple[str, ...], text: str) -> str:
    return hashlib.sha256("\0".join((*path, text)).encode()).hexdigest()[:_SUM_DIGITS]


def _check_sums(root: MappingNode, report: Report) -> None:
    """Report each value that has no checksum, or if there is none, that values are missing. Old files have no sums."""
    _, sums = root.entries.get(_SUMS, (None, None))
    if not isinstance(sums, Scalar):
        return
    recorded = set(sums.text.split())
    found = {_sum(path, node.text): node for path, node in _nodes(root)}
    for strange in found.keys() - recorded:
        report.error(found[strange], "B107", f"is not what kgen wrote{_WHY}", _EDITED)
    if found.keys() < recorded:
        count = len(recorded) - len(found)
        report.error(sums, "B107", f"{count} of the values that kgen wrote are missing{_WHY}", _EDITED)


def _plain(bundle: Bundle) -> dict[str, Any]:
    pair = bundle.service_account
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "masters": [{"name": member.name, "address": member.address} for member in bundle.masters],
        "authorities": {name: _plain_entry(entry) for name, entry in bundle.authorities.items()},
        "certificates": {name: _plain_entry(entry) for name, entry in bundle.certificates.items()},
        "serviceAccount": {"algorithm": pair.algorithm, "publicKey": pair.public, "key": pair.key},
        **({"requests": dict(bundle.requests)} if bundle.requests else {}),
        "bootstrapTokens": list(bundle.tokens),
        **({"poolTokens": dict(bundle.pool_tokens)} if bundle.pool_tokens else {}),
        **({"oldTokens": [_plain_old_token(token) for token in bundle.old_tokens]} if bundle.old_tokens else {}),
        **({"encryptionKeys": [_plain_key(key) for key in bundle.encryption_keys]} if bundle.encryption_keys else {}),
        **({"sealKeys": {name: asdict(key) for name, key in bundle.seal_keys.items()}} if bundle.seal_keys else {}),
        "passwordHashes": dict(bundle.password_hashes),
        **({"podCIDRs": dict(bundle.pod_ranges)} if bundle.pod_ranges else {}),
        **({"seenRunning": bundle.seen_running.strftime(_DATE)} if bundle.seen_running else {}),
        **({"ageRecipients": list(bundle.recipients)} if bundle.recipients else {}),
        "verified": bundle.verified,
    }


def _plain_entry(entry: Entry) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "notBefore": entry.not_before.strftime(_DATE),
        "notAfter": entry.not_after.strftime(_DATE),
        "algorithm": entry.algorithm,
        **({"accepted": True} if entry.is_accepted else {}),
        **({"intermediate": True} if entry.is_intermediate else {}),
        "certificate": entry.certificate,
    }
    return plain if entry.key is None else {**plain, "key": entry.key}


def _plain_old_token(token: OldToken) -> dict[str, str]:
    pool = {"pool": token.pool} if token.pool else {}
    return {"id": token.token_id, "since": token.since.strftime(_DATE), **pool}


def _plain_key(key: EncryptionKey) -> dict[str, str]:
    return {"provider": key.provider, **({"name": key.name, "secret": key.secret} if key.secret else {})}


def _pem(label: str) -> Text:
    def parse_pem(text: str) -> str:
        if _is_pem(text, label):
            return text
        raise Invalid("B103", f"is not {label} text (PEM)", RESTORE)

    return Text(parse_pem, is_unambiguous=True, is_secret=True)


def _date(text: str) -> datetime:
    if _DATE_TEXT.fullmatch(text):
        with suppress(ValueError):  # the 31st of February
            return datetime.fromisoformat(text)
    raise Invalid("B103", "is not a time like 2026-01-31T12:00:00Z", RESTORE)


def _key_name(text: str) -> str:
    if re.fullmatch(r"key[1-9][0-9]{0,8}", text) or not text:
        return text
    raise Invalid("B103", "is not the name of an encryption key", RESTORE)


def _token(text: str) -> str:
    if _TOKEN.fullmatch(text):
        return text
    raise Invalid("B103", "is not a bootstrap token", "remove this line: the next render creates a new token")


def _encryption_key(text: str) -> str:
    if not text:
        return text
    with suppress(binascii.Error, ValueError):
        if len(base64.b64decode(text, validate=True)) == ENCRYPTION_KEY_BYTES:
            return text
    raise Invalid("B103", "is not an encryption key", RESTORE)


def _recipient(text: str) -> str:
    with suppress(binascii.Error, ValueError):
        base64.b64decode(text, validate=True)
        return text
    raise Invalid("B103", "is not the recipient of sealed payloads", RESTORE)


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise Invalid("B103", "is not a network", RESTORE) from None


_TEXT = Text(is_unambiguous=True, is_secret=True)
_MEMBER = Object((Field("name", _TEXT, is_required=True), Field("address", _TEXT, is_required=True)), makes=Member)
_ENTRY = (
    Field("notBefore", Text(_date, is_unambiguous=True), is_required=True),
    Field("notAfter", Text(_date, is_unambiguous=True), is_required=True),
    Field("algorithm", _TEXT, is_required=True),
    Field("certificate", _pem("CERTIFICATE"), is_required=True),
)
_PRIVATE_KEY = _pem("PRIVATE KEY")
_AUTHORITY = Object(
    (
        *_ENTRY,
        Field("intermediate", Boolean(), "true if another CA signed it", default=False, attribute="is_intermediate"),
        Field("key", _PRIVATE_KEY, "absent where the CA's key is kept elsewhere"),
    ),
    makes=Entry,
)
_CERTIFICATE = Object(
    (
        *_ENTRY,
        Field("accepted", Boolean(), "true if kgen has not issued it", default=False, attribute="is_accepted"),
        Field("key", _PRIVATE_KEY, is_required=True),
    ),
    makes=Entry,
)
_SERVICE_ACCOUNT = Object(
    (
        Field("algorithm", _TEXT, is_required=True),
        Field("publicKey", _pem("PUBLIC KEY"), is_required=True, attribute="public"),
        Field("key", _PRIVATE_KEY, is_required=True),
    ),
    makes=ServiceAccount,
)
_TOKEN_TEXT = Text(_token, is_unambiguous=True)
_OLD_TOKEN = Object(
    (
        Field("id", _TEXT, is_required=True, attribute="token_id"),
        Field("since", Text(_date, is_unambiguous=True), is_required=True),
        Field("pool", _TEXT, default=""),
    ),
    makes=OldToken,
)
_ENCRYPTION_KEY = Object(
    (
        Field("provider", _TEXT, is_required=True),
        Field("name", Text(_key_name, is_unambiguous=True), default=""),
        Field("secret", Text(_encryption_key, is_unambiguous=True, is_secret=True), default=""),
    ),
    makes=EncryptionKey,
)
_SEAL_KEY = Object(
    (
        Field("key", _PRIVATE_KEY, is_required=True),
        Field("recipient", Text(_recipient, is_unambiguous=True, is_secret=True), is_required=True),
    ),
    makes=SealKey,
)
_BUNDLE = Object(
    (
        Field("apiVersion", _TEXT, is_required=True, attribute=None),
        Field("kind", _TEXT, is_required=True, attribute=None),
        Field("masters", ListOf(_MEMBER), is_required=True),
        Field("authorities", MapOf(_AUTHORITY, _TEXT, may_be_null=False), is_required=True),
        Field("certificates", MapOf(_CERTIFICATE, _TEXT, may_be_null=False), is_required=True),
        Field("serviceAccount", _SERVICE_ACCOUNT, is_required=True),
        Field("requests", MapOf(_PRIVATE_KEY, _TEXT, may_be_null=False)),
        Field("bootstrapTokens", ListOf(_TOKEN_TEXT), is_required=True, attribute="tokens"),
        Field("poolTokens", MapOf(_TOKEN_TEXT, _TEXT, may_be_null=False)),
        Field("oldTokens", ListOf(_OLD_TOKEN)),
        Field("encryptionKeys", ListOf(_ENCRYPTION_KEY)),
        Field("sealKeys", MapOf(_SEAL_KEY, _TEXT, may_be_null=False)),
        Field("passwordHashes", MapOf(_TEXT, _TEXT, may_be_null=False), is_required=True),
        Field("podCIDRs", MapOf(Text(_network), _TEXT, may_be_null=False), attribute="pod_ranges"),
        Field("seenRunning", Text(_date, is_unambiguous=True)),
        Field("ageRecipients", ListOf(_TEXT), attribute="recipients"),
        Field("verified", _TEXT),
        Field(_SUMS, _TEXT, attribute=None),
    ),
    makes=Bundle,
)

_DAMAGED = ("B101", "the secrets bundle is damaged: not valid YAML from here on", RESTORE)
_WORDS = {
    **dict.fromkeys(("K001", "K004", "K006", "K007", "K009"), _DAMAGED),
    "K002": ("B103", "contains a key twice", "remove one of them"),
    "K005": ("B101", "is not a secrets bundle", RESTORE),
    "K010": ("B101", "the secrets bundle is damaged: it contains a control character", RESTORE),
    "K101": ("B103", "contains a key that kgen does not know", "remove it, or use a newer kgen"),
}
_SAYS_NO_VALUE = ("K102", "K103", "K105")
"""Codes whose messages have no text of the file in them."""


def _reword(finding: Finding) -> Finding:
    """Return the finding with the bundle's code, and without any text of the file, which may be secret."""
    if finding.code.startswith("B"):
        return finding
    message = finding.message if finding.code in _SAYS_NO_VALUE else "is not as kgen writes it"
    code, message, hint = _WORDS.get(finding.code, ("B103", message, RESTORE))
    return replace(finding, key="", code=code, message=message, hint=hint)


def _has_another_version(root: MappingNode, report: Report) -> bool:
    """Report an ``apiVersion`` or ``kind`` that this kgen cannot read. Nothing else of the file is checked then."""
    for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        value = root.entries[key][1] if key in root.entries else None
        if isinstance(value, Scalar) and value.text != wanted:
            hint = "use the kgen that wrote this file, or a newer one"
            report.error(value, "B102", f"is not {wanted!r}: this kgen cannot read the bundle", hint)
            return True
    return False


def _bundle(root: Draft, file: str) -> Bundle:
    pair = root.section("serviceAccount")
    made: Bundle = root.make(
        authorities=_entries(root, "authorities"),
        certificates=_entries(root, "certificates"),
        service_account=pair.make(line=pair.node.line),
        seal_keys={name: draft.make() for name, draft in (root.get("sealKeys") or {}).items()},
        file=file,
    )
    return made


def _entries(root: Draft, section: str) -> dict[str, Entry]:
    node = root.at(section)
    lines = {name: key.line for name, (key, _) in node.entries.items()} if isinstance(node, MappingNode) else {}
    return {name: entry.make(key=entry.get("key"), line=lines[name]) for name, entry in root.get(section).items()}


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
