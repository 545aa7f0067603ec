"""Creates, writes and reads private keys in kubeadm's encodings. Imports cryptography: import this module late."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from kgen.model import Algorithm

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

ENCRYPTED = "is encrypted with a password"
OTHER_KIND = "is neither an RSA nor an ECDSA key"


def generate(algorithm: Algorithm) -> PrivateKey:
    """Return a new private key. An RSA key takes tenths of a second to seconds; other threads run meanwhile."""
    family, _, size = algorithm.partition("-")
    if family == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=int(size))
    return ec.generate_private_key(ec.SECP384R1() if size == "P384" else ec.SECP256R1())


def algorithm_of(key: PrivateKey | PublicKey) -> str:
    """Return the name of the key's algorithm as ``encryptionAlgorithm`` spells it: ``RSA-2048``, ``ECDSA-P256``."""
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return f"RSA-{key.key_size}"
    return f"ECDSA-P{key.curve.key_size}"


def signature_hash(key: PrivateKey) -> SHA256 | SHA384 | SHA512:
    """Return the hash Go signs with by default: SHA-384 with a P-384 key, SHA-512 with P-521, else SHA-256."""
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return SHA256()
    if key.curve.key_size == 521:
        return SHA512()
    return SHA384() if key.curve.key_size == 384 else SHA256()


def private_pem(key: PrivateKey) -> str:
    """Return SEC 1 ``EC PRIVATE KEY`` or PKCS #1 ``RSA PRIVATE KEY`` text, as kubeadm writes it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def public_pem(key: PrivateKey) -> str:
    """Return the public key as PKIX ``PUBLIC KEY`` text, as in ``sa.pub``."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def load_private(pem: str) -> PrivateKey:
    """Return the key in ``pem``, in any of the encodings kubeadm reads.

    Raises:
        ValueError: it is not an unencrypted RSA or ECDSA key. The message never holds any of it.
    """
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except TypeError as error:
        raise ValueError(ENCRYPTED) from error
    except Exception as error:  # OpenSSL's exceptions differ by version and key type
        raise ValueError("cannot be read as a private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError(OTHER_KIND)
    return key


def public_bits(key: PublicKey) -> bytes:
    """Return the bits of the public key, without the algorithm."""
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def spki(key: PublicKey) -> bytes:
    """Return the SubjectPublicKeyInfo as DER: equal for equal keys."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
