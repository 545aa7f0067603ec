"""What of the bundle goes to which machine, and when it ends."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from kgen.config.model import Cluster, Machine
from kgen.payload import Blob
from kgen.pki.table import CERTS
from kgen.secrets_bundle.model import Bundle, Entry

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n([^-]+)-----END")
_SHIPPED_CA_KEY = "ca"
"""The controller-manager signs with it; the keys of the other CAs leave the bundle only with ``shipCAKeys: all``."""


def machine_blobs(bundle: Bundle, cluster: Cluster, machine: Machine) -> dict[str, Blob]:
    """Return the key material of ``machine`` by the names of docs/reference/payload.md, in the table's order.

    A master gets its own certificates and keys, the service account's, the administrators' and the CAs; a node or
    pool the cluster's CA certificate only. What the masters share is the same bytes for each.
    """
    if machine.role == "node":
        return {"ca.crt": _blob(bundle.authorities["ca"].certificate)}
    blobs: dict[str, Blob] = {}
    for row, entry in _entries(bundle, machine):
        blobs[f"{row}.crt"] = _blob(entry.certificate)
        ships_key = row not in bundle.authorities or row == _SHIPPED_CA_KEY or cluster.pki.ship_ca_keys == "all"
        if ships_key and entry.key is not None:
            blobs[f"{row}.key"] = _blob(entry.key)
    blobs["sa.key"] = _blob(bundle.service_account.key)
    blobs["sa.pub"] = _blob(bundle.service_account.public)
    return blobs


def validity(bundle: Bundle, machine: Machine) -> dict[str, tuple[int, int]]:
    """Return from when and until when each certificate among the machine's blobs holds, in seconds since 1970."""
    return {
        f"{row}.crt": (int(entry.not_before.timestamp()), int(entry.not_after.timestamp()))
        for row, entry in _entries(bundle, machine)
    }


def earliest_expiry(bundle: Bundle, machine: Machine) -> datetime:
    """Return when the first certificate among the machine's blobs ends."""
    return min(entry.not_after for _, entry in _entries(bundle, machine))


def ca_fingerprint(bundle: Bundle) -> str:
    """Return ``sha256:<hex>`` of the cluster CA's certificate: tells one cluster from another."""
    return "sha256:" + hashlib.sha256(_blob(bundle.authorities["ca"].certificate).der[0]).hexdigest()


def tokens(bundle: Bundle) -> tuple[str, ...]:
    """Return the bootstrap tokens, ``<id>.<secret>``, one for each entry of ``bootstrapTokens`` in its order."""
    return bundle.tokens


def _entries(bundle: Bundle, machine: Machine) -> Iterator[tuple[str, Entry]]:
    """Yield row and entry of every certificate the machine gets."""
    if machine.role == "node":
        yield "ca", bundle.authorities["ca"]
        return
    entries: Mapping[str, Entry] = bundle.entries
    for spec in CERTS:
        name = spec.name if spec.scope == "cluster" else f"{machine.name}/{spec.name}"
        yield spec.name, entries[name]


def _blob(pem: str) -> Blob:
    """Return the blocks of ``pem``, which all carry the same label."""
    blocks = _PEM.findall(pem)
    return Blob(blocks[0][0], tuple(base64.b64decode(body) for _, body in blocks))
