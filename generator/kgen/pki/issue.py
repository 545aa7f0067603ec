"""Issues certificates, field by field as kubeadm does. Pure. Imports cryptography: import this module late.

The fields are those of ``kubeadm v1.37 init --dry-run``, the same for all key algorithms: extensions in this order,
key usage and basic constraints critical, a subject key identifier on CAs only.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from kgen.pki import keys
from kgen.pki.plan import Request

USAGE_OIDS = {"serverAuth": ExtendedKeyUsageOID.SERVER_AUTH, "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH}
_X520_NAME_LENGTH = 64  # RFC 5280, ub-common-name


@dataclass(frozen=True, slots=True)
class Issuer:
    """A CA that signs: its certificate and its key."""

    certificate: x509.Certificate
    key: keys.PrivateKey


def issue(
    request: Request,
    key: keys.PrivateKey,
    issuer: Issuer | None,
    *,
    not_before: datetime,
    not_after: datetime,
    serial: int,
) -> x509.Certificate:
    """Return the requested certificate for ``key``, signed by ``issuer`` (None: self-signed).

    Dates are aware and cut to whole seconds. ``serial`` is positive and below 2**63, as kubeadm's are.
    """
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject(request))
        .issuer_name(issuer.certificate.subject if issuer else subject(request))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(not_before.replace(microsecond=0))
        .not_valid_after(not_after.replace(microsecond=0))
        .add_extension(_key_usage(ca=issuer is None), critical=True)
    )
    if request.usages:
        usages = [USAGE_OIDS[usage] for usage in request.usages]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    if issuer is None:
        builder = builder.add_extension(_subject_key_identifier(key.public_key()), critical=False)
    elif identifier := _authority_key_identifier(issuer.certificate):
        builder = builder.add_extension(identifier, critical=False)
    if request.dns or request.ips:
        builder = builder.add_extension(_alternative_names(request), critical=False)
    return builder.sign(signer, keys.signature_hash(signer))


def certificate_pem(certificate: x509.Certificate) -> str:
    """Return the certificate as PEM text."""
    return certificate.public_bytes(Encoding.PEM).decode()


def leaf_extensions(request: Request) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """Yield the extensions of a leaf that do not depend on its issuer, and whether each is critical."""
    yield _key_usage(ca=False), True
    yield x509.ExtendedKeyUsage([USAGE_OIDS[usage] for usage in request.usages]), False
    yield x509.BasicConstraints(ca=False, path_length=None), True
    if request.dns or request.ips:
        yield _alternative_names(request), False


def subject(request: Request) -> x509.Name:
    """Return the subject: organizations, then the common name."""
    organizations = [_attribute(NameOID.ORGANIZATION_NAME, group) for group in request.groups]
    return x509.Name([*organizations, _attribute(NameOID.COMMON_NAME, request.cn)])


def _attribute(oid: ObjectIdentifier, value: str) -> x509.NameAttribute[str]:
    if len(value) <= _X520_NAME_LENGTH:
        return x509.NameAttribute(oid, value)
    # A Node's name may have 253 characters. Go, and so every Kubernetes component, accepts names longer than X.520's.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return x509.NameAttribute(oid, value, _validate=False)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject_key_identifier(key: keys.PublicKey) -> x509.SubjectKeyIdentifier:
    """Return the identifier as Go computes it: RFC 7093, method 1."""
    return x509.SubjectKeyIdentifier(hashlib.sha256(keys.public_bits(key)).digest()[:20])


def _authority_key_identifier(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier | None:
    """Return the CA's subject key identifier as the authority's; None if the CA has none, as CAs of others may."""
    for extension in ca.extensions:
        if isinstance(extension.value, x509.SubjectKeyIdentifier):
            return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(extension.value)
    return None


def _alternative_names(request: Request) -> x509.SubjectAlternativeName:
    dns = [x509.DNSName(name) for name in request.dns]
    return x509.SubjectAlternativeName([*dns, *(x509.IPAddress(ip_address(ip)) for ip in request.ips)])
