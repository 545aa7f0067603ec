from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests import clusters

from kgen.pki import inspect, keys
from kgen.pki.issue import Issuer, certificate_pem, issue
from kgen.pki.plan import Request, plan

NOW = datetime(2026, 3, 1, 12, 0, 0, 987654, tzinfo=UTC)
ALGORITHMS = ("ECDSA-P256", "ECDSA-P384", "RSA-2048")


def make(request: Request, key: keys.PrivateKey, issuer: Issuer | None) -> x509.Certificate:
    return issue(request, key, issuer, not_before=NOW, not_after=NOW + timedelta(days=9), serial=0x123456789ABCDEF0)


@pytest.fixture(scope="module", params=ALGORITHMS)
def issued(request) -> dict[str, tuple[Request, x509.Certificate]]:
    key = keys.generate(request.param)
    found: dict[str, tuple[Request, x509.Certificate]] = {}
    for wanted in plan(clusters.one_master()):
        issuer = Issuer(found[wanted.ca][1], key) if wanted.ca else None
        found[wanted.name] = (wanted, make(wanted, key, issuer))
    return found


def shape(certificate: x509.Certificate) -> list[tuple[str, bool]]:
    return [(extension.oid._name, extension.critical) for extension in certificate.extensions]


def test_extensions_and_their_order_are_kubeadms(issued):
    assert shape(issued["ca"][1]) == [
        ("keyUsage", True),
        ("basicConstraints", True),
        ("subjectKeyIdentifier", False),
        ("subjectAltName", False),
    ]
    client = [
        ("keyUsage", True),
        ("extendedKeyUsage", False),
        ("basicConstraints", True),
        ("authorityKeyIdentifier", False),
    ]
    assert shape(issued["admin"][1]) == client
    assert shape(issued["m1/apiserver"][1]) == [*client, ("subjectAltName", False)]


def test_key_usages_and_constraints(issued):
    for wanted, certificate in issued.values():
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        is_ca = wanted.ca is None
        assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (True, True, is_ca)
        assert not any((usage.content_commitment, usage.data_encipherment, usage.key_agreement, usage.crl_sign))
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert (constraints.ca, constraints.path_length) == (is_ca, None)


def test_what_is_issued_says_what_was_asked_for(issued):
    for wanted, certificate in issued.values():
        decoded = inspect.decode(certificate_pem(certificate))
        assert not inspect.differences(decoded, wanted)
        assert (decoded.dns, decoded.ips) == (wanted.dns, wanted.ips)
        assert decoded.not_before == NOW.replace(microsecond=0)
        assert decoded.certificate.serial_number == 0x123456789ABCDEF0
    etcd = issued["m1/etcd/peer"][1].extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(etcd) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


def test_leaves_chain_to_their_ca_by_name_key_identifier_and_signature(issued):
    for wanted, certificate in issued.values():
        signer = issued[wanted.ca or wanted.name][1]
        certificate.verify_directly_issued_by(signer)
        if wanted.ca:
            own = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
            ca = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            assert own.key_identifier == ca.digest
            assert len(ca.digest) == 20


def test_signature_hash_follows_the_signers_key():
    for algorithm, expected in zip(ALGORITHMS, (SHA256, SHA384, SHA256), strict=True):
        signer = keys.generate(algorithm)
        ca, leaf = plan(clusters.one_master())[:2]
        root = make(ca, signer, None)
        assert isinstance(root.signature_hash_algorithm, expected)
        certificate = make(leaf, keys.generate("ECDSA-P256"), Issuer(root, signer))
        assert isinstance(certificate.signature_hash_algorithm, expected)


def test_a_node_name_longer_than_x520_allows_is_issued_as_by_kubeadm():
    name = "a" * 63 + "." + "b" * 63
    _, leaf = plan(clusters.one_master())[:2]
    key = keys.generate("ECDSA-P256")
    ca = make(plan(clusters.one_master())[0], key, None)
    long = Request("x", "kubelet", "x", "ca", f"system:node:{name}", ("system:nodes",), leaf.usages, (name,), ())
    certificate = make(long, key, Issuer(ca, key))
    assert not inspect.differences(inspect.decode(certificate_pem(certificate)), long)


def test_a_ca_without_key_identifier_signs_without_one():
    key = keys.generate("ECDSA-P256")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bare")])
    bare = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=9))
        .sign(key, SHA256())
    )
    certificate = make(plan(clusters.one_master())[1], key, Issuer(bare, key))
    assert "authorityKeyIdentifier" not in dict(shape(certificate))


@pytest.mark.parametrize(
    ("algorithm", "label"),
    [("ECDSA-P256", "EC PRIVATE KEY"), ("ECDSA-P384", "EC PRIVATE KEY"), ("RSA-3072", "RSA PRIVATE KEY")],
)
def test_keys_are_written_as_kubeadm_does_and_read_back(algorithm, label):
    key = keys.generate(algorithm)
    pem = keys.private_pem(key)
    assert pem.startswith(f"-----BEGIN {label}-----\n")
    assert keys.public_pem(key).startswith("-----BEGIN PUBLIC KEY-----\n")
    assert keys.spki(keys.load_private(pem).public_key()) == keys.spki(key.public_key())
    assert keys.algorithm_of(key) == keys.algorithm_of(key.public_key()) == algorithm


@pytest.mark.parametrize(
    "text", ["", "secret-text", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"]
)
def test_damaged_keys_and_certificates_are_value_errors_without_their_text(text):
    for read in (keys.load_private, inspect.decode):
        with pytest.raises(ValueError, match="cannot be read as a") as caught:
            read(text)
        assert "AAAA" not in str(caught.value)


def test_differences_name_every_field():
    by_name = {request.name: request for request in plan(clusters.one_master())}
    key = keys.generate("ECDSA-P256")
    ca = make(by_name["ca"], key, None)
    apiserver = inspect.decode(certificate_pem(make(by_name["m1/apiserver"], key, Issuer(ca, key))))
    text = inspect.differences(apiserver, by_name["m1/kubelet"])
    parts = [
        "CN is 'kube-apiserver', not 'system:node:m1'",
        "O system:nodes is missing",
        "usage clientAuth is missing",
        "usage serverAuth is no longer wanted",
        "SAN kubernetes, kubernetes.default,",
    ]
    places = [text.index(part) for part in parts]
    assert all(first < second for first, second in pairwise(places))
