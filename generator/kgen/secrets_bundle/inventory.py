"""The content of the bundle, for tables and pins. It reads certificates, so it imports cryptography, which is slow."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from kgen.pki.table import CERTS
from kgen.secrets_bundle.model import Bundle

_CAS = {spec.name: spec.ca for spec in CERTS}


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """One certificate of the bundle, for display.

    ``ca`` is the bundle's name of its CA, empty for a CA. ``subject`` is ``O=…, CN=…``. ``issuer`` is the name of the
    issuer as RFC 4514 writes it, empty for a certificate that signed itself. ``sans`` are DNS names, then addresses.
    ``serial`` is the serial number in hexadecimal. ``algorithm`` is the key's, as ``encryptionAlgorithm`` spells it.
    """

    name: str
    ca: str
    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    sans: tuple[str, ...]
    serial: str
    algorithm: str


def inventory(bundle: Bundle) -> tuple[CertificateInfo, ...]:
    """Return every certificate of a populated bundle: authorities first, then leaves, in the bundle's order."""
    from kgen.pki.checks import issuer_of
    from kgen.pki.inspect import decode, is_signed_by

    found: list[CertificateInfo] = []
    for name, entry in bundle.entries.items():
        decoded = decode(entry.certificate)
        found.append(
            CertificateInfo(
                name=name,
                ca=ca_of(name),
                subject=", ".join([*(f"O={group}" for group in decoded.groups), f"CN={decoded.cn}"]),
                issuer="" if is_signed_by(decoded, decoded) else issuer_of(decoded),
                not_before=decoded.not_before,
                not_after=decoded.not_after,
                sans=decoded.dns + decoded.ips,
                serial=f"{decoded.certificate.serial_number:x}",
                algorithm=decoded.algorithm,
            )
        )
    return tuple(found)


def ca_cert_hash(bundle: Bundle) -> str:
    """Return ``sha256:<hex>`` of the cluster CA's public key, as ``--discovery-token-ca-cert-hash`` takes it."""
    from kgen.pki import keys
    from kgen.pki.inspect import decode

    public_key = decode(bundle.authorities["ca"].certificate).public_key
    return "sha256:" + hashlib.sha256(keys.spki(public_key)).hexdigest()


def ca_of(name: str) -> str:
    """Return the name of the CA of a certificate of the bundle; empty for a CA."""
    row = name if name in _CAS else name.partition("/")[2]
    return _CAS[row] or ""
