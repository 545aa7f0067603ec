"""The checks that keys, certificates and requests fit each other. Imports cryptography: import this module late."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from kgen.errors import Problem, ProblemsError
from kgen.pki import keys
from kgen.pki.checks import shortfalls
from kgen.pki.inspect import Decoded, decode, differences, is_signed_by
from kgen.pki.plan import Request
from kgen.pki.table import CERTS
from kgen.secrets_bundle.format import RESTORE
from kgen.secrets_bundle.model import Bundle, Entry, ServiceAccount

_OF_MACHINES = {spec.name for spec in CERTS if spec.scope == "machine"}
"""The rows of which a certificate goes with its machine: nodes may leave the cluster file."""


@dataclass(frozen=True, slots=True)
class Examination:
    """A valid bundle. Its dates and algorithms were read from the certificates.

    ``due`` maps the leaves that differ from their requests to the reason.
    """

    bundle: Bundle
    due: Mapping[str, str]


def examine(bundle: Bundle, requests: Sequence[Request]) -> Examination:
    """Return ``bundle`` once every key fits its certificate and every leaf is signed by its CA.

    A missing leaf is not an error, because it is created. A missing CA is: a new CA would be another cluster. The
    certificates of nodes that have left the cluster file are left out.

    Raises:
        ProblemsError: something does not fit; every problem with the line of its entry.
    """
    return _Examiner(bundle).examine(requests)


class _Examiner:
    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._problems: list[Problem] = []
        self._entries: dict[str, Entry] = {}
        self._decoded: dict[str, Decoded] = {}

    def examine(self, requests: Sequence[Request]) -> Examination:
        bundle = self._bundle
        authorities = [request for request in requests if request.ca is None]
        self._report_strangers("authorities", bundle.authorities, {request.name for request in authorities})
        self._report_strangers("certificates", bundle.certificates, {request.name for request in requests})
        due: dict[str, str] = {}
        for request in requests:
            if request.ca is None:
                self._examine_authority(request)
            else:
                self._examine_leaf(request, request.ca, due)
        pair = self._examine_service_account(bundle.service_account)
        if self._problems:
            raise ProblemsError(self._problems)
        fresh = replace(
            bundle,
            authorities={name: self._entries[name] for name in bundle.authorities},
            certificates={name: self._entries[name] for name in bundle.certificates if name in self._entries},
            service_account=pair,
        )
        return Examination(fresh, due)

    def _report(self, line: int, field: str, message: str, hint: str) -> None:
        self._problems.append(Problem(self._bundle.file, line, 1 if line else 0, field, "B104", message, hint))

    def _report_strangers(self, section: str, entries: Mapping[str, Entry], known: Collection[str]) -> None:
        for name, entry in entries.items():
            if name not in known and name.partition("/")[2] not in _OF_MACHINES:
                self._report(entry.line, f"{section}.{name}", "belongs to nothing in the cluster file", "remove it")

    def _examine_authority(self, request: Request) -> None:
        field = f"authorities.{request.name}"
        entry = self._bundle.authorities.get(request.name)
        if entry is None:
            self._report(0, field, "is missing, and a new CA would be another cluster", RESTORE)
            return
        decoded = self._decode(request.name, field, entry, RESTORE)
        if decoded is not None and not decoded.is_ca:
            self._report(entry.line, field, "is no CA certificate", RESTORE)

    def _examine_leaf(self, request: Request, ca_name: str, due: dict[str, str]) -> None:
        entry = self._bundle.certificates.get(request.name)
        if entry is None:
            return
        field = f"certificates.{request.name}"
        hint = "restore the file from a backup, or remove the entry to have it issued again"
        decoded = self._decode(request.name, field, entry, hint)
        ca = self._decoded.get(ca_name)
        if decoded is None or ca is None:
            return
        if request.is_brought:
            return  # the CA of etcd's servers need not be that of their clients
        if not is_signed_by(decoded, ca):
            self._report(entry.line, field, f"is not signed by the bundle's CA {ca_name!r}", hint)
        elif reason := "; ".join(shortfalls(decoded, request)) if entry.is_accepted else differences(decoded, request):
            due[request.name] = reason

    def _decode(self, name: str, field: str, entry: Entry, hint: str) -> Decoded | None:
        """Decode the certificate and check that the key belongs to it; None after a problem was reported."""
        try:
            decoded = decode(entry.certificate)
        except ValueError as error:
            self._report(entry.line, f"{field}.certificate", str(error), hint)
            return None
        try:
            key = keys.load_private(entry.key) if entry.key is not None else None
        except ValueError as error:
            self._report(entry.line, f"{field}.key", str(error), hint)
            return None
        if key is not None and keys.spki(key.public_key()) != keys.spki(decoded.public_key):
            self._report(entry.line, f"{field}.key", "is not the key of the certificate beside it", hint)
            return None
        self._decoded[name] = decoded
        self._entries[name] = replace(
            entry, algorithm=decoded.algorithm, not_before=decoded.not_before, not_after=decoded.not_after
        )
        return decoded

    def _examine_service_account(self, pair: ServiceAccount) -> ServiceAccount:
        try:
            key = keys.load_private(pair.key)
        except ValueError as error:
            self._report(pair.line, "serviceAccount.key", str(error), RESTORE)
            return pair
        if keys.public_pem(key) != pair.public:
            self._report(pair.line, "serviceAccount.publicKey", "is not the public half of the key", RESTORE)
        return replace(pair, algorithm=keys.algorithm_of(key))
