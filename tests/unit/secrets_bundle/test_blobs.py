from dataclasses import replace

import pytest
from tests import clusters

from kgen.config.model import Pki
from kgen.pki.table import CERTS
from kgen.secrets_bundle import blobs
from kgen.secrets_bundle.inventory import ca_cert_hash, inventory

from .conftest import NOW

CLUSTER = clusters.with_nodes(1)
M2 = CLUSTER.masters[1]
NODE, POOL = CLUSTER.machines[3], CLUSTER.pools[0]


def test_a_master_gets_kubeadms_set_without_the_keys_of_two_cas(bundle):
    names = set(blobs.machine_blobs(bundle, CLUSTER, M2))
    pairs = {f"{spec.name}.{suffix}" for spec in CERTS for suffix in ("crt", "key")}
    assert names == (pairs | {"sa.key", "sa.pub"}) - {"front-proxy-ca.key", "etcd/ca.key"}


def test_ship_ca_keys_all_adds_them(bundle):
    cluster = replace(CLUSTER, pki=Pki(ship_ca_keys="all"))
    more = set(blobs.machine_blobs(bundle, cluster, M2)) - set(blobs.machine_blobs(bundle, CLUSTER, M2))
    assert more == {"front-proxy-ca.key", "etcd/ca.key"}
    assert set(blobs.machine_blobs(bundle, cluster, NODE)) == {"ca.crt"}


@pytest.mark.parametrize("machine", [NODE, POOL], ids=["node", "pool"])
def test_nodes_and_pools_get_the_cas_certificate_only(bundle, machine):
    assert set(blobs.machine_blobs(bundle, CLUSTER, machine)) == {"ca.crt"}
    assert blobs.earliest_expiry(bundle, machine) == bundle.authorities["ca"].not_after


def test_blobs_are_the_bundles_texts(bundle):
    found = blobs.machine_blobs(bundle, CLUSTER, M2)
    assert found["etcd/peer.key"].pem == bundle.certificates["m2/etcd/peer"].key
    assert found["admin.crt"].pem == bundle.certificates["admin"].certificate
    assert found["sa.pub"].pem == bundle.service_account.public
    assert (found["ca.crt"].label, found["ca.key"].label) == ("CERTIFICATE", "EC PRIVATE KEY")


def test_a_chain_is_one_blob_of_several_blocks(bundle):
    admin, ca = bundle.certificates["admin"], bundle.authorities["ca"]
    chain = replace(admin, certificate=admin.certificate + ca.certificate)
    blob = blobs.machine_blobs(replace(bundle, certificates={**bundle.certificates, "admin": chain}), CLUSTER, M2)
    assert len(blob["admin.crt"].der) == 2
    assert blob["admin.crt"].pem == chain.certificate


def test_masters_share_what_kubeadm_shares(bundle):
    first, second = (blobs.machine_blobs(bundle, CLUSTER, machine) for machine in CLUSTER.masters[:2])
    shared = {name for name in first if first[name] == second[name]}
    assert shared == {
        "ca.crt",
        "ca.key",
        "front-proxy-ca.crt",
        "etcd/ca.crt",
        "sa.key",
        "sa.pub",
        "admin.crt",
        "admin.key",
        "super-admin.crt",
        "super-admin.key",
    }


def test_validity_covers_every_certificate_of_the_machine(bundle):
    for machine in (M2, NODE):
        names = {name for name in blobs.machine_blobs(bundle, CLUSTER, machine) if name.endswith(".crt")}
        found = blobs.validity(bundle, machine)
        assert set(found) == names
    assert blobs.validity(bundle, M2)["apiserver.crt"] == (
        int(NOW.timestamp()) - 3600,
        int(NOW.timestamp()) + 365 * 86400,
    )
    assert blobs.earliest_expiry(bundle, M2) == bundle.certificates["admin"].not_after


def test_inventory_tells_every_certificate(bundle):
    found = {info.name: info for info in inventory(bundle)}
    assert list(found) == list(bundle.entries)
    assert (found["etcd/ca"].ca, found["m1/etcd/server"].ca, found["admin"].ca) == ("", "etcd/ca", "ca")
    assert found["m3/kubelet"].subject == "O=system:nodes, CN=system:node:m3"
    assert found["m1/etcd/server"].sans == ("localhost", "m1", "10.0.0.11", "127.0.0.1", "::1")
    assert found["admin"].algorithm == "ECDSA-P256"
    assert found["admin"].not_after == bundle.certificates["admin"].not_after


def test_pins_tell_key_and_certificate(bundle):
    assert ca_cert_hash(bundle).startswith("sha256:")
    assert ca_cert_hash(bundle) != blobs.ca_fingerprint(bundle)
    assert blobs.tokens(bundle) == bundle.tokens
