"""A company's CAs, test-only: a root, CAs below it, and what such CAs get wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

DAY = timedelta(days=1)
CERT_SIGN = {"key_cert_sign": True, "crl_sign": True}
_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


@dataclass(frozen=True)
class Authority:
    """A CA, with the certificates above it in order."""

    certificate: x509.Certificate
    key: Any
    above: tuple[x509.Certificate, ...] = ()

    def chain(self) -> str:
        """Return the certificate and those above it, as PEM text."""
        return "".join(map(pem, (self.certificate, *self.above)))

    def write(self, directory: Path, name: str, *, key: bool = True, chain: bool = True) -> None:
        """Write ``name``.crt and ``name``.key below ``directory``."""
        path = directory / f"{name}.crt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.chain() if chain else pem(self.certificate), encoding="ascii")
        if key:
            path.with_suffix(".key").write_bytes(key_pem(self.key))

    def sign(self, text: str, *, dns: Sequence[str] | None = None, days: int = 90) -> str:
        """Return a certificate for a request in PEM text, with what it asks for; ``dns`` replaces its names."""
        request = x509.load_pem_x509_csr(text.encode())
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self.certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 9 * DAY)
            .not_valid_after(now + days * DAY)
        )
        for extension in request.extensions:
            value = extension.value
            if dns is not None and isinstance(value, x509.SubjectAlternativeName):
                value = x509.SubjectAlternativeName([x509.DNSName(name) for name in dns])
            builder = builder.add_extension(value, extension.critical)
        return pem(builder.sign(self.key, hashes.SHA256()))


def authority(
    cn: str,
    issuer: Authority | None = None,
    *,
    key: Any = None,
    ca: bool = True,
    path_length: int | None = None,
    usages: Sequence[str] = ("key_cert_sign", "crl_sign"),
    days: tuple[int, int] = (-1, 1000),
    more: Sequence[x509.ExtensionType] = (),
) -> Authority:
    """Return a new CA below ``issuer``, by default a root; ``days`` are its validity, counted from now."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Example"), _cn(cn)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
        .add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=True)
        .add_extension(x509.KeyUsage(**{usage: usage in usages for usage in _USAGES}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    signer = issuer.key if issuer else key
    certificate = builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    return Authority(certificate, key, (issuer.certificate, *issuer.above) if issuer else ())


def three_levels(cn: str = "Kubernetes Issuing CA", **words: Any) -> Authority:
    """Return an issuing CA below a CA below a root."""
    root = authority("Example Root CA")
    return authority(cn, authority("Example Infrastructure CA", root, path_length=1), path_length=0, **words)


def without_chain(made: Authority) -> Authority:
    """Return the CA alone."""
    return replace(made, above=())


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return a new RSA key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM text."""
    return certificate.public_bytes(Encoding.PEM).decode()


def key_pem(key: Any) -> bytes:
    """Return a private key as PKCS #8, which kubeadm does not write itself."""
    made: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made


def _cn(cn: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(x509.NameOID.COMMON_NAME, cn)
