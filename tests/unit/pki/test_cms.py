"""Sealed contents: kgen opens what it seals, and nothing else; OpenSSL's word on it is in tests/cloud_init."""

import pytest

from kgen.pki import cms, keys

CONTENT = b"what only one machine may read" * 20


@pytest.fixture(scope="module")
def key() -> str:
    return keys.private_pem(keys.generate("ECDSA-P256"))


@pytest.fixture(scope="module")
def recipient(key) -> bytes:
    return cms.recipient(key, keys.private_pem(keys.generate("ECDSA-P256")), bytes(range(32)))


def test_what_is_sealed_is_opened_and_hides_its_content(key, recipient):
    envelope = cms.sealed(CONTENT, key, recipient)
    assert cms.opened(envelope, key) == CONTENT
    assert CONTENT[:8] not in envelope


def test_equal_contents_have_equal_bytes_and_others_share_no_nonce(key, recipient):
    envelopes = [cms.sealed(content, key, recipient) for content in (CONTENT, CONTENT, CONTENT[::-1])]
    assert envelopes[0] == envelopes[1]
    aes_256_gcm = bytes.fromhex("60864801650304012e")
    nonces = {envelope.partition(aes_256_gcm)[2].partition(b"\x04\x0c")[2][:12] for envelope in envelopes}
    assert len(nonces) == 2


@pytest.mark.parametrize("algorithm", ["ECDSA-P256", "ECDSA-P384", "RSA-2048"])
def test_another_key_opens_nothing(key, recipient, algorithm):
    other = keys.private_pem(keys.generate(algorithm))
    with pytest.raises(ValueError, match=r"is for another key|is no ECDSA key|EC key|curve"):
        cms.opened(cms.sealed(CONTENT, key, recipient), other)


def test_a_changed_byte_of_the_recipient_is_noticed_before_anything_is_sealed(key, recipient):
    for place in range(len(recipient)):
        changed = bytearray(recipient)
        changed[place] ^= 1
        with pytest.raises(ValueError, match=r".*"):
            cms.sealed(CONTENT, key, bytes(changed))


def test_a_changed_byte_of_the_content_is_noticed(key, recipient):
    envelope = cms.sealed(CONTENT, key, recipient)
    for place in range(len(envelope) - len(CONTENT) - 20, len(envelope), 7):
        changed = bytearray(envelope)
        changed[place] ^= 1
        with pytest.raises(ValueError, match=r".*"):
            cms.opened(bytes(changed), key)
