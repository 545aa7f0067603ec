from dataclasses import replace

import pytest
from tests import clusters

from kgen.errors import ProblemsError
from kgen.pki import keys
from kgen.pki.plan import plan
from kgen.secrets_bundle import format as document
from kgen.secrets_bundle.populate import populate
from kgen.secrets_bundle.verify import examine

from .conftest import NOW

REQUESTS = plan(clusters.three_masters())


@pytest.fixture
def read(bundle):
    return document.parse(document.dump(bundle), "prod.secrets.yaml")


def with_leaf(bundle, name, **changes):
    entry = replace(bundle.certificates[name], **changes)
    return replace(bundle, certificates={**bundle.certificates, name: entry})


def with_ca(bundle, name, **changes):
    entry = replace(bundle.authorities[name], **changes)
    return replace(bundle, authorities={**bundle.authorities, name: entry})


def problems(bundle):
    with pytest.raises(ProblemsError) as caught:
        examine(bundle, REQUESTS)
    for problem in caught.value.problems:
        assert problem.file == "prod.secrets.yaml"
        assert problem.hint
    return [(problem.field, problem.message) for problem in caught.value.problems]


def test_a_sound_bundle_is_returned_unchanged(read):
    examination = examine(read, REQUESTS)
    assert examination.bundle == read
    assert examination.due == {}


def test_a_key_of_another_certificate(read):
    stolen = read.certificates["m2/apiserver"].key
    found = problems(with_leaf(read, "m1/apiserver", key=stolen))
    assert found == [("certificates.m1/apiserver.key", "is not the key of the certificate beside it")]


def test_a_leaf_of_another_cluster(read):
    other = populate(None, clusters.three_masters(), NOW).bundle.certificates["m3/kubelet"]
    broken = with_leaf(read, "m3/kubelet", certificate=other.certificate, key=other.key)
    with pytest.raises(ProblemsError) as caught:
        examine(broken, REQUESTS)
    (problem,) = caught.value.problems
    assert (problem.line, problem.code) == (read.certificates["m3/kubelet"].line, "B104")
    assert problem.message == "is not signed by the bundle's CA 'ca'"


def test_a_damaged_block_is_found_with_its_line(bundle):
    text = clusters.without_checksums(document.dump(bundle))
    start = text.index("key: |", text.index("m2/etcd/peer:"))
    body = text.index("\n", text.index("BEGIN", start)) + 7
    damaged = text[: body + 10] + "AAAAAAAAAAAA" + text[body + 22 :]
    read = document.parse(damaged, "prod.secrets.yaml")
    with pytest.raises(ProblemsError) as caught:
        populate(read, clusters.three_masters(), NOW)
    (problem,) = caught.value.problems
    assert problem.field == "certificates.m2/etcd/peer.key"
    assert text.splitlines()[problem.line - 1] == "  m2/etcd/peer:"
    assert "remove the entry" in problem.hint


def test_a_missing_ca_is_never_made_again(read):
    rest = {name: entry for name, entry in read.authorities.items() if name != "front-proxy-ca"}
    found = problems(replace(read, authorities=rest))
    assert found == [("authorities.front-proxy-ca", "is missing, and a new CA would be another cluster")]


def test_a_leaf_in_the_place_of_a_ca(read):
    leaf = read.certificates["admin"]
    assert ("authorities.ca", "is no CA certificate") in problems(
        with_ca(read, "ca", certificate=leaf.certificate, key=leaf.key)
    )


def test_entries_that_belong_to_nothing(read):
    admin = read.certificates["admin"]
    broken = replace(read, certificates={**read.certificates, "m9/kubelet": admin})
    assert problems(broken) == [("certificates.m9/kubelet", "belongs to nothing in the cluster file")]


def test_service_account_keys_that_do_not_fit(read):
    other = keys.generate("ECDSA-P256")
    public = replace(read, service_account=replace(read.service_account, public=keys.public_pem(other)))
    assert problems(public) == [("serviceAccount.publicKey", "is not the public half of the key")]
    private = replace(read, service_account=replace(read.service_account, key="x"))
    assert problems(private) == [("serviceAccount.key", "cannot be read as a private key")]


def test_all_damage_is_reported_at_once(read):
    broken = with_leaf(read, "admin", certificate="x")
    broken = with_ca(broken, "etcd/ca", key="x")
    assert [field for field, _ in problems(broken)] == ["authorities.etcd/ca.key", "certificates.admin.certificate"]


def test_pkcs8_keys_are_taken_as_kubeadm_takes_them(read):
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = keys.load_private(str(read.certificates["admin"].key))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert examine(with_leaf(read, "admin", key=pem), REQUESTS).due == {}
