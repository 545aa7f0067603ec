"""The creation of keys and certificates as entries of the bundle. Imports cryptography: import this module late."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from kgen.errors import InputError
from kgen.model import Algorithm, Cluster
from kgen.pki import keys
from kgen.pki.inspect import Decoded, decode, decode_all, is_signed_by
from kgen.pki.issue import Issuer, certificate_pem, issue
from kgen.pki.plan import Request
from kgen.pki.table import sends_chain
from kgen.secrets_bundle.model import Bundle, Entry, Issued, ServiceAccount
from kgen.secrets_bundle.source import Progress, Source

BACK_DATED = timedelta(hours=1)
"""The time between NotBefore and the render, so that machines with slow clocks accept the certificate."""


def issue_entries(
    requests: Sequence[Request],
    kept: Bundle | None,
    cluster: Cluster,
    now: datetime,
    source: Source,
    progress: Progress,
) -> Issued:
    """Return a new entry for every request. A CA must come before its leaves, or be in ``kept``.

    Raises:
        InputError: a CA has no key in the bundle, or has expired.
    """
    algorithm = cluster.encryption_algorithm
    authorities = kept.authorities if kept else {}
    signers = _Signers(authorities)
    for request in requests:
        if request.ca in authorities:  # first, because creating keys may take long
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
        above = chain_above(request, signers.entry(request.ca)) if request.ca is not None else ()
        text = "".join(map(certificate_pem, (certificate, *(each.certificate for each in above))))
        entry = Entry(text, keys.private_pem(key), algorithm, not_before, not_after)
        entries[request.name] = entry
        if request.ca is None:
            signers.add(request.name, entry)
    if kept is not None:
        return Issued(entries, kept.service_account, tuple(clamped))
    key = next(made)
    return Issued(entries, ServiceAccount(keys.private_pem(key), keys.public_pem(key), algorithm), tuple(clamped))


def chain_above(request: Request, authority: Entry) -> tuple[Decoded, ...]:
    """Return the certificates that stand behind a leaf of ``authority``: its intermediate CAs, without the root."""
    if not sends_chain(request.row):
        return ()
    return tuple(each for each in decode_all(authority.certificate) if not is_signed_by(each, each))


class _Signers:
    """The CAs by name. Each is decoded once, when it signs for the first time."""

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
            hint = (
                "`kgen certs csr CLUSTER_FILE DIR NAME` writes a request for it; have it signed where the CA's key is"
            )
            raise InputError(f"{request.name} must be issued, and the bundle has no key of its CA {request.ca!r}", hint)
        if entry.not_after <= now:
            raise InputError(
                f"{request.name} must be issued, and its CA {request.ca!r} expired on {entry.not_after:%Y-%m-%d}"
            )

    def of(self, name: str) -> Issuer:
        if name not in self._issuers:
            entry = self._entries[name]
            self._issuers[name] = Issuer(decode(entry.certificate).certificate, keys.load_private(str(entry.key)))
        return self._issuers[name]


def _keys(algorithm: Algorithm, count: int, source: Source, progress: Progress) -> Iterator[keys.PrivateKey]:
    """Yield new keys; RSA keys are created in one thread for each processor."""
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
