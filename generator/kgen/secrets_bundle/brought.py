"""Certificates that the user brings: from their files into the bundle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kgen.errors import Problem, ProblemsError
from kgen.model import Cluster, PemFile
from kgen.pki.table import ETCD_CA, ETCD_CLIENT
from kgen.secrets_bundle.model import Entry

CHANGED = "its file has changed"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class Brought:
    """The files of one certificate. ``key`` is None for a CA whose key the user keeps."""

    certificate: PemFile
    key: PemFile | None


def files(cluster: Cluster) -> dict[str, Brought]:
    """Return the files of every certificate that the user brings, by the certificate's name in the bundle."""
    etcd = cluster.external_etcd
    found = {}
    if etcd is not None and etcd.ca is not None:
        found[ETCD_CA] = Brought(etcd.ca, None)
    if etcd is not None and etcd.certificate is not None:
        found[ETCD_CLIENT] = Brought(etcd.certificate, etcd.key)
    return found


def fresh_entries(found: Mapping[str, Brought], kept: Mapping[str, Entry], now: datetime) -> dict[str, Entry]:
    """Return an entry for each certificate whose file is there and differs from what the bundle has ``kept``.

    Raises:
        ProblemsError: files are wrong, or they are missing and the bundle does not have their content. Every problem.
    """
    problems: list[Problem] = []
    fresh: dict[str, Entry] = {}
    for name, given in found.items():
        old = kept.get(name)
        if old is not None and _blocks(given.certificate.text) in ([], _blocks(old.certificate)):
            continue
        pair = [given.certificate, *([given.key] if given.key else [])]
        if lacking := [file for file in pair if not file.text]:
            problems += (_missing(file, old) for file in lacking)
            continue
        from kgen.secrets_bundle import reading  # late: cryptography is slow to import

        is_ca = given.key is None
        try:
            key = reading.private_key(given.key.text) if given.key else None
        except ValueError as error:
            problems.append(_problem(given.key or given.certificate, str(error)))
            continue
        try:
            fresh[name] = reading.entry(given.certificate.text, key)
        except ValueError as error:
            problems.append(_problem(given.certificate, str(error)))
            continue
        flaws = reading.flaws(fresh[name].certificate, key, now, is_ca=is_ca)
        problems += (_problem(given.certificate, flaw) for flaw in flaws)
    if problems:
        raise ProblemsError(problems)
    return fresh


def _blocks(text: str) -> list[str]:
    """Return the certificates in ``text``, in a form that is equal for equal certificates."""
    return ["".join(body.split()) for body in _CERTIFICATE.findall(text)]


def _missing(file: PemFile, old: Entry | None) -> Problem:
    where = "the secrets bundle has another certificate" if old else "the secrets bundle does not have its content"
    hint = "put the file there; its path is relative to the cluster file"
    return _problem(file, f"is not there, and {where}", hint)


def _problem(file: PemFile, message: str, hint: str = "") -> Problem:
    path, line, column = file.place.rsplit(":", 2)
    hint = hint or "give PEM files: a certificate, with its chain after it, and its unencrypted RSA or ECDSA key"
    return Problem(path, int(line), int(column), "", "B106", f"{file.name} {message}", hint)
