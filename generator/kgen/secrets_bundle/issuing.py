"""New keys and certificates as entries of the bundle. Imports cryptography; import it late."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from kgen.config.model import Algorithm, Cluster
from kgen.errors import InputError
from kgen.pki import keys
from kgen.pki.inspect import decode
from kgen.pki.issue import Issuer, certificate_pem, issue
from kgen.pki.plan import Request
from kgen.secrets_bundle.model import Bundle, Entry, Issued, ServiceAccount
from kgen.secrets_bundle.source import Progress, Source

BACK_DATED = timedelta(hours=1)
"""How far NotBefore lies before the render: machines whose clocks are a little behind still accept it."""


def issue_entries(
    requests: Sequence[Request],
    kept: Bundle | None,
    cluster: Cluster,
    now: datetime,
    source: Source,
    progress: Progress,
) -> Issued:
    """Return a new entry for every request; a CA stands before its leaves or in ``kept``.

    Raises:
        InputError: a CA has no key in the bundle, or has ended.
    """
    algorithm = cluster.encryption_algorithm
    authorities = kept.authorities if kept else {}
    signers = _Signers(authorities)
    for request in requests:
        if request.ca in authorities:  # before any key is made, which may take long
            signers.check(request, now)
    made = _keys(algorithm, len(requests) + (kept is None), source, progress)
    entries: dict[str, Entry] = {}
    clamped: list[str] = []
    for request in requests:
        key = next(made)
        validity = cluster.certificate_validity if request.ca else cluster.ca_certificate_validity
        not_before, not_after = _utc(now - BACK_DATED), _utc(now + validity)
        issuer = None
        if request.ca is not None:
            issuer = signers.of(request.ca)
            end = signers.entry(request.ca).not_after
            if not_after > end:
                not_after = end
                clamped.append(request.name)
        certificate = issue(request, key, issuer, not_before=not_before, not_after=not_after, serial=source.serial())
        entry = Entry(certificate_pem(certificate), keys.private_pem(key), algorithm, not_before, not_after)
        entries[request.name] = entry
        if request.ca is None:
            signers.add(request.name, entry)
    if kept is not None:
        return Issued(entries, kept.service_account, tuple(clamped))
    key = next(made)
    return Issued(entries, ServiceAccount(keys.private_pem(key), keys.public_pem(key), algorithm), tuple(clamped))


class _Signers:
    """The CAs by name; each is decoded once, and only when something is signed."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = dict(entries)
        self._issuers: dict[str, Issuer] = {}

    def entry(self, name: str) -> Entry:
        return self._entries[name]

    def add(self, name: str, entry: Entry) -> None:
        self._entries[name] = entry

    def check(self, request: Request, now: datetime) -> None:
        entry = self._entries[str(request.ca)]
        if entry.key is None:
            hint = "issue it where the CA's key is, and put certificate and key into the bundle"
            raise InputError(f"{request.name} must be issued, and the bundle has no key of its CA {request.ca!r}", hint)
        if entry.not_after <= now:
            raise InputError(
                f"{request.name} must be issued, and its CA {request.ca!r} ended on {entry.not_after:%Y-%m-%d}"
            )

    def of(self, name: str) -> Issuer:
        if name not in self._issuers:
            entry = self._entries[name]
            self._issuers[name] = Issuer(decode(entry.certificate).certificate, keys.load_private(str(entry.key)))
        return self._issuers[name]


def _keys(algorithm: Algorithm, count: int, source: Source, progress: Progress) -> Iterator[keys.PrivateKey]:
    """Yield new keys; RSA ones come from as many threads as the machine has processors."""
    if not algorithm.startswith("RSA"):
        for _ in range(count):
            yield source.key(algorithm)
        return
    executor = ThreadPoolExecutor(os.cpu_count())
    try:
        for done, key in enumerate(executor.map(source.key, [algorithm] * count), start=1):
            progress(done, count)
            yield key
    finally:
        executor.shutdown(cancel_futures=True)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)
