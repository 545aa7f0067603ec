"""The warnings about a bundle that is valid."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from kgen.errors import Problem
from kgen.model import Cluster
from kgen.pki.table import ETCD_CA, ETCD_CLIENT
from kgen.secrets_bundle import encryption
from kgen.secrets_bundle.inventory import ca_of
from kgen.secrets_bundle.membership import has_etcd_members
from kgen.secrets_bundle.model import Bundle, Entry

NOTICE = timedelta(days=30)
"""kgen warns of certificates that expire within this time."""

_NEW_CA = "a CA cannot be renewed: plan a new cluster"
_RENEW = "run `kgen certs renew CLUSTER_FILE`, then `kgen render CLUSTER_FILE`: it says what to do next"
_NEW_FILE = "get a new one where it was made, replace the file that the cluster file names, then run `kgen render`"


def is_brought(bundle: Bundle, name: str) -> bool:
    """Return whether the user brings the certificate: that of an external etcd's CA, or of its client."""
    return name == ETCD_CLIENT or (name == ETCD_CA and not has_etcd_members(bundle))


_RENEW_OUTSIDE = "run `kgen certs csr CLUSTER_FILE DIR NAME`, have the requests signed, then `kgen certs accept`"
_NOT_SIGNED = (
    "without the key of the cluster CA on the masters nothing signs requests: nodes and pools do not join with their"
    " bootstrap token, kubelets do not renew their certificates, `kubeadm certs renew` and `kubeadm join` fail"
)
_SIGN_OUTSIDE = "sign the CertificateSigningRequests with a signer of your own, as in kubeadm's external CA mode"


def advice(bundle: Bundle, cluster: Cluster, now: datetime, clamped: Collection[str]) -> Iterator[Problem]:
    """Yield a warning for each kind of trouble ahead: expiry, dates in the future, other algorithms."""
    yield from expiries(bundle, now)
    ahead = {name: entry for name, entry in bundle.entries.items() if entry.not_before > now}
    if ahead:
        latest = max(entry.not_before for entry in ahead.values())
        message = f"{_names(ahead)} will be valid only from {_date(latest)}: this machine's clock may be behind"
        yield _warning(bundle, "", ahead, "B204", message, "set the clock")
    other = {
        name: entry
        for name, entry in bundle.certificates.items()
        if entry.algorithm != cluster.encryption_algorithm and not (entry.is_accepted or is_brought(bundle, name))
    }
    if other:
        message = f"{_names(other)} keep another algorithm than encryptionAlgorithm {cluster.encryption_algorithm}"
        hint = "`kgen certs renew CLUSTER_FILE` makes new keys; CAs and the service account's key stay as they are"
        yield _warning(bundle, "certificates", other, "B202", message, hint)
    if clamped:
        entries = {name: bundle.certificates[name] for name in clamped}
        end = min(entry.not_after for entry in entries.values())
        message = f"{_names(entries)} expire on {_date(end)} with their CA, before certificateValidityPeriod is over"
        yield _warning(bundle, "certificates", entries, "B203", message, _NEW_CA)
    if encryption.is_behind(cluster, bundle.encryption_keys):
        provider = bundle.encryption_keys[0].provider
        message = f"objects in etcd are written with the provider {provider}, not with that of apiServer.encryption"
        hint = "apply this to every master, then run `kgen encryption rotate CLUSTER_FILE`"
        yield Problem(bundle.file or "secrets bundle", 0, 0, "encryptionKeys", "B206", message, hint)
    if "ca" in bundle.external_authorities:
        yield _warning(bundle, "authorities", {"ca": bundle.authorities["ca"]}, "B205", _NOT_SIGNED, _SIGN_OUTSIDE)


def expiries(bundle: Bundle, now: datetime) -> Iterator[Problem]:
    """Yield a warning if CAs, and one if other certificates, have expired or expire soon."""
    outside = {
        name: _NEW_FILE if is_brought(bundle, name) else _RENEW_OUTSIDE
        for name in bundle.certificates
        if is_brought(bundle, name) or ca_of(name) in bundle.external_authorities
    } | {name: _NEW_FILE for name in bundle.authorities if is_brought(bundle, name)}
    for section, entries, own in (
        ("authorities", bundle.authorities, _NEW_CA),
        ("certificates", bundle.certificates, _RENEW),
    ):
        for hint in (own, _RENEW_OUTSIDE, _NEW_FILE):
            found = {name: entry for name, entry in entries.items() if outside.get(name, own) == hint}
            yield from _expiries(bundle, section, found, now, hint)


def _expiries(
    bundle: Bundle, section: str, entries: Mapping[str, Entry], now: datetime, hint: str
) -> Iterator[Problem]:
    past = {name: entry for name, entry in entries.items() if entry.not_after <= now}
    near = {name: entry for name, entry in entries.items() if now < entry.not_after < now + NOTICE}
    for found, phrase in (
        (past, "expired"),
        (near, f"{'expires' if len(near) == 1 else 'expire'} within {NOTICE.days} days"),
    ):
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
