"""Certificates and keys of others as entries of the bundle. Imports cryptography: import this module late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kgen.pki import keys
from kgen.pki.inspect import decode
from kgen.secrets_bundle.model import Entry

_CLIENT = "clientAuth"
_ANY_USAGE = "2.5.29.37.0"


def private_key(text: str) -> keys.PrivateKey:
    """Return the key in ``text``.

    Raises:
        ValueError: it cannot be used; the message never holds any of it.
    """
    return keys.load_private(text)


def entry(text: str, key: keys.PrivateKey | None) -> Entry:
    """Return the certificates in ``text`` and ``key`` in kubeadm's encodings.

    Raises:
        ValueError: there is no certificate that can be used.
    """
    decoded = decode(text)
    chain = x509.load_pem_x509_certificates(text.encode())
    return Entry(
        certificate="".join(each.public_bytes(Encoding.PEM).decode() for each in chain),
        key=keys.private_pem(key) if key is not None else None,
        algorithm=decoded.algorithm,
        not_before=decoded.not_before,
        not_after=decoded.not_after,
    )


def fits(certificate: str, key: keys.PrivateKey) -> bool:
    """Return whether ``key`` is the key of the first certificate in ``certificate``."""
    return keys.spki(key.public_key()) == keys.spki(decode(certificate).public_key)


def flaws(certificate: str, key: keys.PrivateKey | None, now: datetime, *, is_ca: bool) -> Iterator[str]:
    """Yield what keeps the certificate from being a CA, or else the certificate of a client, at the time ``now``."""
    decoded = decode(certificate)
    if is_ca and not decoded.is_ca:
        yield "is no CA certificate"
    if not is_ca and decoded.usages and not {_CLIENT, _ANY_USAGE} & set(decoded.usages):
        yield f"is for {', '.join(decoded.usages)} only, not for a client"
    if key is not None and not fits(certificate, key):
        yield "is not the certificate of the key beside it"
    if decoded.not_after <= now:
        yield f"expired on {decoded.not_after:%Y-%m-%d %H:%M} UTC"
