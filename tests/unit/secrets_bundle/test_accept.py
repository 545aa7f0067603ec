"""Certificates and keys that people bring → the bundle."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests import clusters, corporate

from kgen.errors import InputError, ProblemsError
from kgen.model import Pki
from kgen.pipeline import Pipeline
from kgen.pki.inspect import decode, decode_all
from kgen.secrets_bundle import blobs
from kgen.secrets_bundle.accept import accept
from kgen.secrets_bundle.format import dump, parse
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import Populated, populate
from kgen.secrets_bundle.requesting import requests

NOW = datetime.now(UTC)
CLUSTER = clusters.one_master()
CA = corporate.three_levels()
ROOT_USAGE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])


def accepted(directory: Path, bundle: Bundle | None = None) -> Populated:
    return populate(accept(directory, CLUSTER, bundle, NOW).bundle, CLUSTER, NOW, may_lack=True)


def problems(directory: Path, bundle: Bundle | None = None) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        accept(directory, CLUSTER, bundle, NOW)
    assert "PRIVATE KEY" not in str(caught.value)
    return [f"{Path(each.file).relative_to(directory)}: {each.message}" for each in caught.value.problems]


def test_own_cas_sign_everything_and_the_others_are_made(tmp_path):
    CA.write(tmp_path, "ca")
    etcd = corporate.authority("etcd", key=corporate.rsa_key())
    etcd.write(tmp_path, "etcd/ca")
    taken = accept(tmp_path, CLUSTER, None, NOW)
    assert taken.names == ("ca", "etcd/ca")
    assert taken.made == ("front-proxy-ca",)
    populated = populate(taken.bundle, CLUSTER, NOW)
    bundle = populated.bundle
    assert populated.missing == {}
    assert decode(bundle.authorities["ca"].certificate).certificate == CA.certificate
    assert bundle.authorities["ca"].is_intermediate
    assert not bundle.authorities["etcd/ca"].is_intermediate
    assert parse(dump(bundle), "a file") == bundle
    for name, ca in (("admin", CA), ("m1/etcd/server", etcd)):
        decode(bundle.certificates[name].certificate).certificate.verify_directly_issued_by(ca.certificate)
    again = populate(parse(dump(bundle), "a file"), CLUSTER, NOW)
    assert not again.changed


def test_the_machines_trust_an_intermediate_alone_and_the_api_server_sends_its_chain(tmp_path):
    CA.write(tmp_path, "ca")
    bundle = accepted(tmp_path).bundle
    found = blobs.machine_blobs(bundle, CLUSTER, CLUSTER.masters[0])
    assert found["ca.crt"].pem == corporate.pem(CA.certificate)
    sent = [each.certificate for each in decode_all(found["apiserver.crt"].pem)]
    assert sent[1:] == [CA.certificate, CA.above[0]]  # without the root
    assert len(found["apiserver-kubelet-client.crt"].der) == 1
    assert len(found["etcd/server.crt"].der) == 1


@pytest.mark.parametrize(
    ("authority", "message"),
    [
        (corporate.authority("leaf", ca=False, usages=()), "is no CA certificate"),
        (corporate.authority("old", days=(-20, -10)), "expired on "),
        (corporate.authority("new", days=(10, 20)), "is valid only from "),
        (
            corporate.authority("usage", usages=("digital_signature",)),
            "may not sign certificates: its key usage lacks keyCertSign",
        ),
        (
            corporate.authority("weak", key=corporate.rsa_key(1024)),
            "has an RSA key of 1024 bits; at least 2048 are needed",
        ),
        (
            corporate.authority("curve", key=ec.generate_private_key(ec.SECP256K1())),
            "has a key on the curve secp256k1; Go knows P-256, P-384 and P-521",
        ),
        (
            corporate.authority("clients", more=[ROOT_USAGE]),
            "may not sign certificates for serverAuth: its extended key usages lack it",
        ),
        (
            corporate.authority("names", more=[x509.NameConstraints([x509.DNSName("example.com")], None)]),
            "has name constraints that do not allow kubernetes, kubernetes.default, ",
        ),
        (
            corporate.authority(
                "inside", more=[x509.NameConstraints(None, [x509.IPAddress(ip_network("10.0.0.0/8"))])]
            ),
            "has name constraints that do not allow 10.0.0.11, 10.96.0.1",
        ),
        (
            corporate.authority("deep", corporate.authority("top", path_length=0)),
            "has an issuer 'top' that allows 0 CAs below it (path length), and there are 1",
        ),
        (
            corporate.authority("late", corporate.authority("gone", days=(-20, -10))),
            "has an issuer 'gone' that expired on ",
        ),
        (
            replace(corporate.authority("one"), above=(corporate.authority("two").certificate,)),
            "is followed by 'two', which did not sign 'one'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_ca_that_cannot_be_the_clusters_is_refused(tmp_path, authority, message):
    authority.write(tmp_path, "ca")
    (found,) = problems(tmp_path)
    assert found.startswith(f"ca.crt: {message}")


def test_name_constraints_that_allow_every_name_are_taken(tmp_path):
    permitted = [x509.RFC822Name("example.com"), x509.IPAddress(ip_network("0.0.0.0/0"))]
    limits = x509.NameConstraints(permitted, [x509.DNSName("example.org"), x509.DNSName(".m1")])
    corporate.authority("ca", more=[limits]).write(tmp_path, "ca")
    assert accepted(tmp_path).bundle.authorities["ca"]


def test_a_hint_says_what_to_do_about_the_file(tmp_path):
    key = ed25519.Ed25519PrivateKey.generate()
    (tmp_path / "ca.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    CA.write(tmp_path, "etcd/ca")
    locked = CA.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "etcd/ca.key").write_bytes(locked)
    (tmp_path / "front-proxy-ca.crt").write_bytes(b"0" + bytes(range(128, 140)))
    (tmp_path / "front-proxy-ca.key").write_bytes(corporate.key_pem(CA.key))
    with pytest.raises(ProblemsError) as caught:
        accept(tmp_path, CLUSTER, None, NOW)
    assert [(Path(each.file).name, each.message, each.hint.split()[0]) for each in caught.value.problems] == [
        ("ca.key", "is neither an RSA nor an ECDSA key", "use"),
        ("ca.key", "is encrypted with a password", "`openssl"),
        ("front-proxy-ca.crt", "cannot be read: not PEM text", "a"),
    ]


def test_a_certificate_for_a_key_of_another_kind_is_named(tmp_path):
    corporate.authority("ca", key=ed25519.Ed25519PrivateKey.generate()).write(tmp_path, "ca", key=False)
    assert problems(tmp_path) == ["ca.crt: is for a key that is neither RSA nor ECDSA"]


def test_every_problem_is_reported_at_once(tmp_path):
    CA.write(tmp_path, "ca")
    corporate.authority("etcd").write(tmp_path, "etcd/ca")
    (tmp_path / "etcd/ca.key").write_bytes(corporate.key_pem(corporate.rsa_key()))
    CA.write(tmp_path, "front-proxy-ca")
    (tmp_path / "sa.key").write_text("nonsense")
    (tmp_path / "m9.crt").write_text(corporate.pem(CA.certificate))
    (tmp_path / "lone.key").write_bytes(corporate.key_pem(CA.key))
    assert problems(tmp_path) == [
        "etcd/ca.key: is not the key of ca.crt",
        "front-proxy-ca.crt: has the key of the CA 'ca': who is trusted by one would be by both",
        "lone.key: has no certificate lone.crt beside it",
        "m9.crt: belongs to no certificate of this cluster",
        "sa.key: cannot be read as a private key",
    ]


def test_another_ca_or_service_account_key_than_the_bundles_is_refused(tmp_path):
    bundle = populate(None, CLUSTER, NOW).bundle
    CA.write(tmp_path, "ca")
    (tmp_path / "sa.key").write_bytes(corporate.key_pem(corporate.rsa_key()))
    assert problems(tmp_path, bundle) == [
        "ca.crt: is not the bundle's CA 'ca': it would be another cluster",
        "sa.key: is not the bundle's: with another key, no token of a service account is valid any more",
    ]


def test_an_own_service_account_key_is_used(tmp_path):
    key = corporate.rsa_key(4096)
    (tmp_path / "sa.key").write_bytes(corporate.key_pem(key))
    pair = accepted(tmp_path).bundle.service_account
    assert pair.algorithm == "RSA-4096"
    assert "BEGIN RSA PRIVATE KEY" in pair.key


@pytest.fixture
def external(tmp_path) -> Bundle:
    """A bundle whose cluster CA has no key, with a request for each of its leaves."""
    CA.write(tmp_path / "own", "ca", key=False)
    populated = accepted(tmp_path / "own")
    assert set(populated.missing) == {
        *("admin", "super-admin", "m1/apiserver", "m1/apiserver-kubelet-client"),
        *("m1/controller-manager", "m1/scheduler", "m1/kubelet"),
    }
    return requests(populated.bundle, CLUSTER, populated.missing).bundle


def texts(bundle: Bundle) -> dict[str, str]:
    return {request.name: text for request, text in requests(bundle, CLUSTER, bundle.requests).texts}


def test_requests_ask_for_what_kgen_would_issue(external):
    issued = populate(None, CLUSTER, NOW).bundle
    for name, text in texts(external).items():
        request = x509.load_pem_x509_csr(text.encode())
        certificate = decode(issued.certificates[name].certificate).certificate
        assert request.subject == certificate.subject
        theirs = {each.oid: each for each in certificate.extensions if each.oid.dotted_string != "2.5.29.35"}
        assert {each.oid: each for each in request.extensions} == theirs


def test_certificates_may_come_back_one_by_one(tmp_path, external):
    signed = {name: CA.sign(text) for name, text in texts(external).items()}
    bundle = external
    for number, (name, text) in enumerate(signed.items(), start=1):
        (tmp_path / "csr").mkdir(exist_ok=True)
        (tmp_path / f"csr/{number}.pem").write_text(f"some words before it\n{text}")  # found by its key
        populated = accepted(tmp_path / "csr", bundle)
        assert name not in populated.missing
        assert len(populated.missing) == len(signed) - number
        bundle = parse(dump(populated.bundle), "a file")
        assert bundle.requests.keys() == populated.missing.keys()
    assert not populate(bundle, CLUSTER, NOW).changed
    files = Pipeline(CLUSTER, bundle).payload(CLUSTER.masters[0])
    assert "ca.key" not in files.blobs
    assert {"etcd/ca.key", "front-proxy-ca.key"} < files.blobs.keys()
    assert "/var/lib/kubelet/pki/kubelet-client-current.pem" in [str(file.path) for file in files.files]


def test_a_render_refuses_and_names_what_is_missing(external):
    with pytest.raises(
        InputError, match=r"^7 certificates must be signed by a CA whose key is not in the bundle: m1/api"
    ):
        populate(external, CLUSTER, NOW)


def test_wrong_answers_to_requests_are_refused(tmp_path, external):
    asked = texts(external)
    other = corporate.authority("Other CA")
    answers = {
        "admin": other.sign(asked["admin"]),
        "m1/apiserver": CA.sign(asked["m1/apiserver"], dns=["m1"]),
        "m1/scheduler": CA.sign(asked["m1/controller-manager"]),
        "m1/kubelet": CA.sign(asked["m1/kubelet"], days=-2),
    }
    for name, text in answers.items():
        (tmp_path / f"csr/{name}.crt").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"csr/{name}.crt").write_text(text)
    found = problems(tmp_path / "csr", external)
    assert [each.partition(": ")[0] for each in found] == [
        "admin.crt", "m1/apiserver.crt", "m1/kubelet.crt", "m1/scheduler.crt", "m1/scheduler.crt"
    ]  # fmt: skip
    assert "is not signed by the CA 'ca' (CN 'Kubernetes Issuing CA'), but by 'CN=Other CA,O=Example'" in found[0]
    assert "SAN kubernetes, kubernetes.default" in found[1]
    assert "10.96.0.1, 10.0.0.11 is missing" in found[1]
    assert "expired on" in found[2]
    assert "CN is 'system:kube-controller-manager', not 'system:kube-scheduler'" in found[3]
    assert "is not for the key of its request" in found[4]


def test_a_changed_name_needs_a_new_certificate_from_outside(tmp_path, external):
    for number, text in enumerate(texts(external).values()):
        (tmp_path / "csr").mkdir(exist_ok=True)
        (tmp_path / f"csr/{number}.crt").write_text(CA.sign(text))
    bundle = accepted(tmp_path / "csr", external).bundle
    more = replace(CLUSTER, api_server=replace(CLUSTER.api_server, cert_sans=("api.example.com",)))
    for _ in range(2):  # what was found out once is not forgotten
        populated = populate(bundle, more, NOW, may_lack=True)
        assert populated.missing == {"m1/apiserver": "SAN api.example.com is missing"}
        bundle = populated.bundle
    with pytest.raises(InputError, match=r"m1/apiserver \(SAN api.example.com is missing\)"):
        populate(bundle, more, NOW)


def test_an_own_leaf_may_say_more_and_is_kept(tmp_path):
    CA.write(tmp_path, "ca")
    bundle = accepted(tmp_path).bundle
    plain = replace(bundle, authorities={**bundle.authorities, "ca": replace(bundle.authorities["ca"], key=None)})
    ((request, text),) = requests(plain, CLUSTER, ["m1/apiserver"]).texts
    private = requests(plain, CLUSTER, ["m1/apiserver"])
    (tmp_path / "leaf").mkdir()
    (tmp_path / "leaf/apiserver.crt").write_text(CA.sign(private.texts[0][1], dns=[*request.dns, "more.example.com"]))
    (tmp_path / "leaf/apiserver.key").write_text(private.bundle.requests["m1/apiserver"])
    assert "SAN 10.96.0.1, 10.0.0.11 is missing" in problems(tmp_path / "leaf", bundle)[0]
    wide = replace(CLUSTER, api_server=replace(CLUSTER.api_server, cert_sans=("more.example.com",)))
    ((_, text),) = requests(private.bundle, wide, ["m1/apiserver"]).texts
    (tmp_path / "leaf/apiserver.crt").write_text(CA.sign(text))
    kept = accepted(tmp_path / "leaf", bundle)
    assert "more.example.com" in decode(kept.bundle.certificates["m1/apiserver"].certificate).dns
    assert kept.reissued == ()


def test_a_key_of_the_cas_may_come_later(tmp_path, external):
    (tmp_path / "key").mkdir()
    (tmp_path / "key/ca.key").write_bytes(corporate.key_pem(corporate.rsa_key()))
    assert problems(tmp_path / "key", external) == ["ca.key: is not the key of the bundle's CA 'ca'"]
    (tmp_path / "key/ca.key").write_bytes(corporate.key_pem(CA.key))
    assert accepted(tmp_path / "key", external).missing == {}


def test_a_directory_without_certificates_is_refused_at_first(tmp_path):
    with pytest.raises(InputError, match="has no certificates and no keys"):
        accept(tmp_path, CLUSTER, None, NOW)


def test_a_ca_outside_is_asked_for_the_kubelets_serving_certificates_of_all_machines(tmp_path):
    cluster = replace(clusters.with_nodes(1, CLUSTER), pools=(), pki=Pki(kubelet_serving_certificates=True))
    CA.write(tmp_path / "own", "ca", key=False)
    bundle = accept(tmp_path / "own", cluster, None, NOW).bundle
    populated = populate(bundle, cluster, NOW, may_lack=True)
    assert {"m1/kubelet-serving", "w1/kubelet-serving"} < populated.missing.keys()
    requested = requests(populated.bundle, cluster, populated.missing)
    for request, text in requested.texts:
        # The names in a lone master's PKI directory do, too.
        name = request.row if request.machine == "m1" and request.row != "kubelet-serving" else request.name
        path = tmp_path / f"csr/{name}.crt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CA.sign(text))
    taken = accept(tmp_path / "csr", cluster, requested.bundle, NOW)
    assert len(taken.names) == len(requested.texts)
    assert populate(taken.bundle, cluster, NOW).missing == {}
    node = cluster.machines[1]
    assert set(blobs.machine_blobs(taken.bundle, cluster, node)) == {
        *("ca.crt", "kubelet-serving.crt", "kubelet-serving.key")
    }
