"""CMS AuthEnvelopedData for one P-256 key, as `openssl cms -decrypt` opens it. Imports cryptography: import it late.

cryptography writes CMS with AES-CBC only, which detects no change. So this module declares the structures of RFC 5652,
RFC 5083 (AuthEnvelopedData), RFC 5084 (AES-GCM) and RFC 5753 (ECDH), and cryptography encodes, agrees, derives, wraps
and encrypts.

Pure: the same content for the same recipient has the same bytes.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from cryptography.x509 import ObjectIdentifier

from kgen.pki import keys

_AUTH_ENVELOPED_DATA = ObjectIdentifier("1.2.840.113549.1.9.16.1.23")
_DATA = ObjectIdentifier("1.2.840.113549.1.7.1")
_AES_256_GCM = ObjectIdentifier("2.16.840.1.101.3.4.1.46")
_AES_256_WRAP = ObjectIdentifier("2.16.840.1.101.3.4.1.45")
_EC_PUBLIC_KEY = ObjectIdentifier("1.2.840.10045.2.1")
_ECDH_SHA256 = ObjectIdentifier("1.3.132.1.11.1")  # dhSinglePass-stdDH-sha256kdf-scheme
_KEY_BYTES, _NONCE_BYTES, _TAG_BYTES = 32, 12, 16


@asn1.sequence
class _Algorithm:
    name: ObjectIdentifier


@asn1.sequence
class _PublicKey:
    algorithm: _Algorithm
    point: asn1.BitString


@asn1.sequence
class _Originator:  # [0] EXPLICIT around a CHOICE has the bytes of [0] IMPLICIT around this
    key: Annotated[_PublicKey, asn1.Implicit(1)]


@asn1.sequence
class _Agreement:
    name: ObjectIdentifier
    wrap: _Algorithm


@asn1.sequence
class _KeyIdentifier:
    value: bytes


@asn1.sequence
class _EncryptedKey:
    recipient: Annotated[_KeyIdentifier, asn1.Implicit(0)]
    key: bytes


@asn1.sequence
class _Recipient:  # KeyAgreeRecipientInfo
    version: int
    originator: Annotated[_Originator, asn1.Implicit(0)]
    algorithm: _Agreement
    encrypted_keys: list[_EncryptedKey]


@asn1.sequence
class _GcmParameters:
    nonce: bytes
    tag_bytes: int


@asn1.sequence
class _ContentAlgorithm:
    name: ObjectIdentifier
    parameters: _GcmParameters


@asn1.sequence
class _EncryptedContent:
    type: ObjectIdentifier
    algorithm: _ContentAlgorithm
    content: Annotated[bytes, asn1.Implicit(0)]


@asn1.sequence
class _AuthEnvelopedData:
    version: int
    recipients: asn1.SetOf[Annotated[_Recipient, asn1.Implicit(1)]]
    encrypted: _EncryptedContent
    tag: bytes


@asn1.sequence
class _ContentInfo:
    type: ObjectIdentifier
    content: Annotated[_AuthEnvelopedData, asn1.Explicit(0)]


@asn1.sequence
class _SharedInfo:  # ECC-CMS-SharedInfo, of which the key that wraps is derived
    algorithm: _Algorithm
    key_bits: Annotated[bytes, asn1.Explicit(2)]


def recipient(key_pem: str, sender_pem: str, content_key: bytes) -> bytes:
    """Return, as DER, what gives ``content_key`` to whoever has the key ``key_pem``. The sender is used once."""
    public, sender = _private(key_pem).public_key(), _private(sender_pem)
    wrapped = aes_key_wrap(_wrapping_key(sender, public), content_key)
    return _recipient_der(public, sender.public_key(), wrapped)


def sealed(content: bytes, key_pem: str, recipient_der: bytes) -> bytes:
    """Return ``content`` as AuthEnvelopedData for the key ``key_pem``, as DER.

    All contents for a recipient are encrypted with one key, so each needs a nonce of its own: an HMAC of the content,
    keyed with ``key_pem``. Equal contents have equal nonces, and then equal bytes.

    Raises:
        ValueError: key and recipient do not belong together.
    """
    whom = asn1.decode_der(_Recipient, recipient_der)
    nonce = hmac.digest(key_pem.encode(), content, "sha256")[:_NONCE_BYTES]
    encrypted = AESGCM(_content_key(key_pem, whom)).encrypt(nonce, content, None)
    parameters = _GcmParameters(nonce=nonce, tag_bytes=_TAG_BYTES)
    return asn1.encode_der(
        _ContentInfo(
            type=_AUTH_ENVELOPED_DATA,
            content=_AuthEnvelopedData(
                version=0,
                recipients=asn1.SetOf([whom]),
                encrypted=_EncryptedContent(
                    type=_DATA,
                    algorithm=_ContentAlgorithm(name=_AES_256_GCM, parameters=parameters),
                    content=encrypted[:-_TAG_BYTES],
                ),
                tag=encrypted[-_TAG_BYTES:],
            ),
        )
    )


def opened(envelope: bytes, key_pem: str) -> bytes:
    """Return the content of what ``sealed`` made.

    Raises:
        ValueError: it is damaged, or for another key.
    """
    data = asn1.decode_der(_ContentInfo, envelope).content
    (whom,) = data.recipients.as_list()
    encrypted = data.encrypted
    try:
        cipher = AESGCM(_content_key(key_pem, whom))
        return cipher.decrypt(encrypted.algorithm.parameters.nonce, encrypted.content + data.tag, None)
    except InvalidTag as error:
        raise ValueError("is damaged") from error


def _recipient_der(public: ec.EllipticCurvePublicKey, sender: ec.EllipticCurvePublicKey, wrapped: bytes) -> bytes:
    point = asn1.BitString(keys.public_bits(sender), 0)
    identifier = hashlib.sha256(keys.public_bits(public)).digest()[:20]  # RFC 7093, method 1
    return asn1.encode_der(
        _Recipient(
            version=3,
            originator=_Originator(key=_PublicKey(algorithm=_Algorithm(name=_EC_PUBLIC_KEY), point=point)),
            algorithm=_Agreement(name=_ECDH_SHA256, wrap=_Algorithm(name=_AES_256_WRAP)),
            encrypted_keys=[_EncryptedKey(recipient=_KeyIdentifier(value=identifier), key=wrapped)],
        )
    )


def _content_key(key_pem: str, whom: _Recipient) -> bytes:
    private = _private(key_pem)
    sender = ec.EllipticCurvePublicKey.from_encoded_point(private.curve, whom.originator.key.point.as_bytes())
    wrapped = whom.encrypted_keys[0].key
    try:
        content_key = aes_key_unwrap(_wrapping_key(private, sender), wrapped)
    except InvalidUnwrap as error:
        raise ValueError("is for another key") from error
    if asn1.encode_der(whom) != _recipient_der(private.public_key(), sender, wrapped):
        raise ValueError("is damaged")  # where unwrapping does not look: the names of algorithms
    return content_key


def _wrapping_key(private: ec.EllipticCurvePrivateKey, public: ec.EllipticCurvePublicKey) -> bytes:
    bits = (8 * _KEY_BYTES).to_bytes(4, "big")
    info = asn1.encode_der(_SharedInfo(algorithm=_Algorithm(name=_AES_256_WRAP), key_bits=bits))
    return X963KDF(SHA256(), _KEY_BYTES, info).derive(private.exchange(ec.ECDH(), public))


def _private(pem: str) -> ec.EllipticCurvePrivateKey:
    key = keys.load_private(pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("is no ECDSA key")
    return key
