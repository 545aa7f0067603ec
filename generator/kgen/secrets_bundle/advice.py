"""What a render should warn about in a bundle that is in order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from kgen.config.model import Cluster
from kgen.errors import Problem
from kgen.secrets_bundle.model import Bundle, Entry

NOTICE = timedelta(days=30)
"""A document that cannot be booted for this long from now is worth a warning."""

_RENEW = "run `kgen certs renew CLUSTER_FILE`, render, and rebuild the machines"


def advice(bundle: Bundle, cluster: Cluster, now: datetime, clamped: Collection[str]) -> Iterator[Problem]:
    """Yield a warning for each kind of thing that will hurt later: near ends, dates ahead, other algorithms."""
    new_ca = "a CA cannot be renewed: plan a new cluster"
    yield from _ends(bundle, "authorities", bundle.authorities, now, new_ca)
    yield from _ends(bundle, "certificates", bundle.certificates, now, _RENEW)
    ahead = {name: entry for name, entry in bundle.entries.items() if entry.not_before > now}
    if ahead:
        latest = max(entry.not_before for entry in ahead.values())
        message = f"{_names(ahead)} will be valid only from {_date(latest)}: this machine's clock may be behind"
        yield _warning(bundle, "", ahead, "B204", message, "set the clock")
    other = {
        name: entry for name, entry in bundle.certificates.items() if entry.algorithm != cluster.encryption_algorithm
    }
    if other:
        message = f"{_names(other)} keep another algorithm than encryptionAlgorithm {cluster.encryption_algorithm}"
        hint = "`kgen certs renew CLUSTER_FILE` makes new keys; CAs and the service account's key stay as they are"
        yield _warning(bundle, "certificates", other, "B202", message, hint)
    if clamped:
        entries = {name: bundle.certificates[name] for name in clamped}
        end = min(entry.not_after for entry in entries.values())
        message = f"{_names(entries)} end on {_date(end)} with their CA, before certificateValidityPeriod is over"
        yield _warning(bundle, "certificates", entries, "B203", message, new_ca)


def _ends(bundle: Bundle, section: str, entries: Mapping[str, Entry], now: datetime, hint: str) -> Iterator[Problem]:
    ended = {name: entry for name, entry in entries.items() if entry.not_after <= now}
    near = {name: entry for name, entry in entries.items() if now < entry.not_after < now + NOTICE}
    for found, phrase in ((ended, "ended"), (near, f"end within {NOTICE.days} days")):
        if found:
            first = min(entry.not_after for entry in found.values())
            message = f"{_names(found)} {phrase}, the first on {_date(first)}: no machine boots with them after that"
            yield _warning(bundle, section, found, "B201", message, hint)


def _warning(bundle: Bundle, section: str, entries: Mapping[str, Entry], code: str, message: str, hint: str) -> Problem:
    line = min(entry.line for entry in entries.values())
    return Problem(bundle.file or "secrets bundle", line, 1 if line else 0, section, code, message, hint)


def _names(entries: Mapping[str, Entry]) -> str:
    names = list(entries)
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} others"


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
