"""The checks of certificates that people bring: CAs, and leaves that a CA outside signed. Imports cryptography.

Go verifies the certificates of every component, so what Go's crypto/x509 refuses is a flaw here (RFC 5280 as
``Certificate.Verify`` reads it: a trust anchor may be an intermediate, its usages and name constraints count).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from ipaddress import ip_address
from itertools import pairwise
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from kgen.pki import keys
from kgen.pki.inspect import Decoded, extension, is_signed_by
from kgen.pki.issue import USAGE_OIDS
from kgen.pki.plan import Request

_WEAKEST_RSA_BITS = 2048  # OpenSSL's security level 2, the default of distributions
_CURVES = (256, 384, 521)
_WEAK_HASHES = (hashes.MD5, hashes.SHA1)


def flaws_of_key(key: keys.PublicKey | keys.PrivateKey) -> Iterator[str]:
    """Yield the reason for which clients or Go refuse the key."""
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        if key.key_size < _WEAKEST_RSA_BITS:
            yield f"has an RSA key of {key.key_size} bits; at least {_WEAKEST_RSA_BITS} are needed"
    elif (
        not key.curve.name.startswith("secp") or not key.curve.name.endswith("r1") or key.curve.key_size not in _CURVES
    ):
        yield f"has a key on the curve {key.curve.name}; Go knows P-256, P-384 and P-521"


def flaws_of_authority(chain: Sequence[Decoded], leaves: Sequence[Request], now: datetime) -> Iterator[str]:
    """Yield everything that keeps the first of ``chain`` from being the CA of ``leaves``.

    The others of ``chain`` are its issuer, the issuer's issuer, and so on, as far as they are not ``misplaced``.
    """
    ca = chain[0]
    if not ca.is_ca:
        yield "is no CA certificate"
        return
    yield from _flaws_of_signer(ca, below=0)
    yield from flaws_of_key(ca.public_key)
    yield from _flaws_of_dates(ca, now)
    wanted = {usage for leaf in leaves for usage in leaf.usages}
    allowed = extension(ca.certificate, x509.ExtendedKeyUsage)
    if allowed is not None and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in allowed:
        for usage in sorted(usage for usage in wanted if USAGE_OIDS[usage] not in allowed):
            yield f"may not sign certificates for {usage}: its extended key usages lack it"
    limits = extension(ca.certificate, x509.NameConstraints)
    if limits is not None and (outside := _outside(limits, leaves)):
        yield f"has name constraints that do not allow {', '.join(outside)}"
    for number, (below, above) in enumerate(pairwise(chain)):
        if not _is_issuer(above, below):
            return
        yield from (f"has an issuer {above.cn!r} that {flaw}" for flaw in _flaws_of_signer(above, below=number + 1))
        yield from (f"has an issuer {above.cn!r} that {flaw}" for flaw in _flaws_of_dates(above, now))
        if isinstance(below.certificate.signature_hash_algorithm, _WEAK_HASHES):
            yield f"has a chain in which {below.cn!r} is signed with {below.certificate.signature_hash_algorithm.name}"


def misplaced(chain: Sequence[Decoded]) -> Iterator[str]:
    """Yield the first certificate of ``chain`` that did not sign the one before it."""
    for below, above in pairwise(chain):
        if not _is_issuer(above, below):
            yield f"is followed by {above.cn!r}, which did not sign {below.cn!r}"
            return


def _is_issuer(above: Decoded, below: Decoded) -> bool:
    return above.is_ca and is_signed_by(below, above)


def _outside(limits: x509.NameConstraints, leaves: Sequence[Request]) -> list[str]:
    """Return the names and addresses of ``leaves`` that Go refuses below a CA with these name constraints."""
    permitted, excluded = limits.permitted_subtrees or (), limits.excluded_subtrees or ()
    dns = _refused(
        {name for leaf in leaves for name in leaf.dns},
        [each.value for each in permitted if isinstance(each, x509.DNSName)],
        [each.value for each in excluded if isinstance(each, x509.DNSName)],
        _is_below,
    )
    addresses = _refused(
        {ip_address(address) for leaf in leaves for address in leaf.ips},
        [each.value for each in permitted if isinstance(each, x509.IPAddress)],
        [each.value for each in excluded if isinstance(each, x509.IPAddress)],
        lambda address, network: address in network,
    )
    return [*dns, *addresses]


def _refused(
    names: set[Any], permitted: Sequence[Any], excluded: Sequence[Any], fits: Callable[..., bool]
) -> list[str]:
    found = []
    for name in names:
        is_permitted = not permitted or any(fits(name, each) for each in permitted)
        if not is_permitted or any(fits(name, each) for each in excluded):
            found.append(str(name))
    return sorted(found)


def _is_below(name: str, domain: str) -> bool:
    return not domain or name.endswith(domain if domain.startswith(".") else f".{domain}") or name == domain


def _flaws_of_signer(ca: Decoded, below: int) -> Iterator[str]:
    """Yield flaws of a CA with ``below`` other CAs between it and the leaves."""
    usage = extension(ca.certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield "may not sign certificates: its key usage lacks keyCertSign"
    constraints = extension(ca.certificate, x509.BasicConstraints)
    length = constraints.path_length if constraints else None
    if length is not None and length < below:
        yield f"allows {length} CAs below it (path length), and there are {below}"


def _flaws_of_dates(decoded: Decoded, now: datetime) -> Iterator[str]:
    if decoded.not_after <= now:
        yield f"expired on {decoded.not_after:%Y-%m-%d %H:%M} UTC"
    if decoded.not_before > now:
        yield f"is valid only from {decoded.not_before:%Y-%m-%d %H:%M} UTC"


def flaws_of_leaf(leaf: Decoded, request: Request, ca: Decoded, now: datetime) -> Iterator[str]:
    """Yield everything that keeps ``leaf`` from being what ``request`` asks for, signed by ``ca``."""
    if not is_signed_by(leaf, ca):
        yield f"is not signed by the CA {request.ca!r} (CN {ca.cn!r}), but by {issuer_of(leaf)!r}"
    yield from shortfalls(leaf, request)
    yield from flaws_of_key(leaf.public_key)
    yield from _flaws_of_dates(leaf, now)
    if leaf.is_ca:
        yield "is a CA certificate"
    if isinstance(leaf.certificate.signature_hash_algorithm, _WEAK_HASHES):
        yield f"is signed with {leaf.certificate.signature_hash_algorithm.name}, which no client accepts"
    usage = extension(leaf.certificate, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        yield "lacks the key usage digitalSignature"


def shortfalls(leaf: Decoded, request: Request) -> Iterator[str]:
    """Yield what a brought certificate lacks of ``request``; names, addresses and usages beyond it are no flaw.

    Organizations must be equal: Kubernetes reads them as groups.
    """
    if leaf.cn != request.cn:
        yield f"CN is {leaf.cn!r}, not {request.cn!r}"
    if sorted(leaf.groups) != sorted(request.groups):
        yield f"O is {', '.join(leaf.groups) or 'absent'}, not {', '.join(request.groups) or 'absent'}"
    if missing := [usage for usage in request.usages if usage not in leaf.usages]:
        yield f"usage {', '.join(missing)} is missing"
    names = {name.lower() for name in leaf.dns}
    lacking = [name for name in request.dns if name not in names and "*." + name.partition(".")[2] not in names]
    if lacking := [*lacking, *(ip for ip in request.ips if ip not in leaf.ips)]:
        yield f"SAN {', '.join(lacking)} is missing"


def issuer_of(leaf: Decoded) -> str:
    """Return the issuer's name as RFC 4514 writes it."""
    return leaf.certificate.issuer.rfc4514_string()
