"""The keys that open sealed payloads: one for each machine and pool, made once, kept in the bundle."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from kgen.model import Cluster
from kgen.secrets_bundle.model import SealKey
from kgen.secrets_bundle.source import Source


def assign(cluster: Cluster, kept: Mapping[str, SealKey], source: Source) -> dict[str, SealKey]:
    """Return the key of every machine and pool of a cluster that seals, in file order; otherwise what is kept."""
    if not cluster.seals:
        return dict(kept)
    return {machine.name: kept.get(machine.name) or _new(source) for machine in cluster.documents}


def _new(source: Source) -> SealKey:
    from kgen.pki import cms, keys  # late: cryptography is slow to import

    key, sender = (keys.private_pem(source.key("ECDSA-P256")) for _ in range(2))
    recipient = cms.recipient(key, sender, base64.b64decode(source.encryption_key()))
    return SealKey(key, base64.b64encode(recipient).decode())
