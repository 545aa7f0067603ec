"""Read certificates: the fields of a PEM text. Imports cryptography; import it late."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

from kgen.pki import keys
from kgen.pki.issue import USAGE_OIDS
from kgen.pki.plan import Request

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class OtherKeyError(ValueError):
    """A certificate is for a key that is neither RSA nor ECDSA."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A certificate, with the fields that kgen decides as plain values."""

    certificate: x509.Certificate
    cn: str
    groups: tuple[str, ...]
    usages: tuple[str, ...]
    dns: tuple[str, ...]
    ips: tuple[str, ...]
    is_ca: bool
    not_before: datetime
    not_after: datetime
    algorithm: str

    @property
    def public_key(self) -> keys.PublicKey:
        """Return the certificate's public key."""
        return cast("keys.PublicKey", self.certificate.public_key())


def decode(pem: str) -> Decoded:
    """Return the first certificate in ``pem``, decoded; the others are its chain.

    Raises:
        ValueError: it is not an X.509 certificate with an RSA or ECDSA key.
    """
    return decode_all(pem)[0]


def decode_all(pem: str) -> tuple[Decoded, ...]:
    """Return every certificate in ``pem``, at least one, decoded. ``pem`` may have other text between them.

    Raises:
        OtherKeyError: one of them is for another kind of key.
        ValueError: one of them is not an X.509 certificate.
    """
    try:
        return tuple(_decode(certificate) for certificate in x509.load_pem_x509_certificates(pem.encode()))
    except OtherKeyError:
        raise
    except Exception as error:  # the parser's exceptions differ by field and version
        raise ValueError("cannot be read as a certificate") from error


def _decode(certificate: x509.Certificate) -> Decoded:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise OtherKeyError("is for a key that is neither RSA nor ECDSA")
    sans = extension(certificate, x509.SubjectAlternativeName)
    usages = extension(certificate, x509.ExtendedKeyUsage)
    constraints = extension(certificate, x509.BasicConstraints)
    names_of_usages = {oid: usage for usage, oid in USAGE_OIDS.items()}
    return Decoded(
        certificate=certificate,
        cn="".join(_values(certificate, NameOID.COMMON_NAME)),
        groups=tuple(_values(certificate, NameOID.ORGANIZATION_NAME)),
        usages=tuple(names_of_usages.get(oid, oid.dotted_string) for oid in usages or ()),
        dns=tuple(sans.get_values_for_type(x509.DNSName)) if sans else (),
        ips=tuple(str(address) for address in sans.get_values_for_type(x509.IPAddress)) if sans else (),
        is_ca=bool(constraints and constraints.ca),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        algorithm=keys.algorithm_of(key),
    )


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return the certificate's extension of this kind; None if it has none."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _values(certificate: x509.Certificate, oid: ObjectIdentifier) -> list[str]:
    with warnings.catch_warnings():  # about names longer than X.520 allows, which Kubernetes accepts (kgen.pki.issue)
        warnings.simplefilter("ignore", UserWarning)
        return [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]


def is_signed_by(leaf: Decoded, ca: Decoded) -> bool:
    """Return whether ``ca``'s key signed ``leaf`` and ``leaf`` names it as the issuer."""
    try:
        leaf.certificate.verify_directly_issued_by(ca.certificate)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def differences(decoded: Decoded, request: Request) -> str:
    """Return the differences between ``decoded`` and ``request`` as a phrase, empty if there are none.

    Key and dates are not compared. The order of SANs and usages does not matter.
    """
    return "; ".join(_differences(decoded, request))


def _differences(decoded: Decoded, request: Request) -> Iterator[str]:
    if decoded.cn != request.cn:
        yield f"CN is {decoded.cn!r}, not {request.cn!r}"
    rows = (
        ("O", decoded.groups, request.groups),
        ("usage", decoded.usages, request.usages),
        ("SAN", decoded.dns + decoded.ips, request.dns + request.ips),
    )
    for what, has, wanted in rows:
        missing = [value for value in wanted if value not in has]
        surplus = [value for value in has if value not in wanted]
        if missing:
            yield f"{what} {', '.join(missing)} is missing"
        if surplus:
            yield f"{what} {', '.join(surplus)} is no longer wanted"
