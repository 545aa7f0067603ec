"""The key material that each machine gets from the bundle, and when it expires."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping

from kgen.model import Cluster, Machine
from kgen.payload import Blob
from kgen.pki.table import SERVICE_ACCOUNT_FILES, CertSpec, certificates_of, file_names
from kgen.secrets_bundle.model import Bundle, Entry

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n([^-]+)-----END")


def machine_blobs(bundle: Bundle, cluster: Cluster, machine: Machine) -> dict[str, Blob]:
    """Return the key material of ``machine`` by the names of docs/reference/payload.md, in the table's order.

    A master gets its own certificates and keys, the service account's, the administrators' and the CAs'. A node or
    pool gets the cluster CA's certificate, and a listed node its kubelet's serving certificate if the bundle has it.
    Material that the masters share has the same bytes on each.
    """
    blobs: dict[str, Blob] = {}
    for spec, entry in _entries(bundle, cluster, machine):
        # The file of a cluster's own CA has no more than the CA: every certificate in it would be trusted.
        texts = (entry.alone if spec.ca is None and spec.cn else entry.certificate, entry.key)
        for name, text in zip(file_names(spec, cluster, machine.role), texts, strict=False):
            if text is not None:
                blobs[name] = _blob(text)
    if machine.role == "master":
        pair = bundle.service_account
        blobs |= {name: _blob(text) for name, text in zip(SERVICE_ACCOUNT_FILES, (pair.key, pair.public), strict=True)}
    return blobs


def validity(bundle: Bundle, cluster: Cluster, machine: Machine) -> dict[str, tuple[int, int]]:
    """Return NotBefore and NotAfter of each certificate among the machine's blobs, in seconds since 1970."""
    return {
        file_names(spec, cluster, machine.role)[0]: (
            int(entry.not_before.timestamp()),
            int(entry.not_after.timestamp()),
        )
        for spec, entry in _entries(bundle, cluster, machine)
    }


def ca_fingerprint(bundle: Bundle) -> str:
    """Return ``sha256:<hex>`` of the cluster CA's certificate, which identifies the cluster."""
    return "sha256:" + hashlib.sha256(_blob(bundle.authorities["ca"].certificate).der[0]).hexdigest()


def tokens(bundle: Bundle) -> tuple[str, ...]:
    """Return the tokens, ``<id>.<secret>``: one for each entry of ``bootstrapTokens``, then those of pools."""
    return (*bundle.tokens, *bundle.pool_tokens.values())


def join_token(bundle: Bundle, name: str) -> str:
    """Return the bootstrap token that the node or pool ``name`` joins with."""
    return bundle.pool_tokens.get(name, bundle.tokens[0])


def _entries(bundle: Bundle, cluster: Cluster, machine: Machine) -> Iterator[tuple[CertSpec, Entry]]:
    """Yield row and entry of every certificate the machine gets."""
    entries: Mapping[str, Entry] = bundle.entries
    for spec in certificates_of(cluster, machine):
        yield spec, entries[spec.entry_name(machine.name)]


def _blob(pem: str) -> Blob:
    """Return the blocks of ``pem``, which all have the same label."""
    blocks = _PEM.findall(pem)
    return Blob(blocks[0][0], tuple(base64.b64decode(body) for _, body in blocks))
