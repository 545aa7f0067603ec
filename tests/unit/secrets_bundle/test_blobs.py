from dataclasses import replace

import pytest
from tests import clusters

from kgen.model import Pki
from kgen.pki.table import certificates
from kgen.secrets_bundle import blobs
from kgen.secrets_bundle.inventory import ca_cert_hash, inventory

from .conftest import NOW

CLUSTER = clusters.with_nodes(1)
M2 = CLUSTER.masters[1]
NODE, POOL = CLUSTER.machines[3], CLUSTER.pools[0]


def test_a_master_gets_kubeadms_full_set(bundle):
    names = set(blobs.machine_blobs(bundle, CLUSTER, M2))
    pairs = {f"{spec.name}.{suffix}" for spec in certificates(CLUSTER) for suffix in ("crt", "key")}
    assert names == pairs | {"sa.key", "sa.pub"}


def test_ship_ca_keys_cluster_keeps_two_keys_from_the_masters(bundle):
    cluster = replace(CLUSTER, pki=Pki(ship_ca_keys="cluster"))
    kept_back = set(blobs.machine_blobs(bundle, CLUSTER, M2)) - set(blobs.machine_blobs(bundle, cluster, M2))
    assert kept_back == {"front-proxy-ca.key", "etcd/ca.key"}


@pytest.mark.parametrize("machine", [NODE, POOL], ids=["node", "pool"])
def test_nodes_and_pools_get_the_cas_certificate_only(bundle, machine):
    assert set(blobs.machine_blobs(bundle, CLUSTER, machine)) == {"ca.crt"}


def test_a_ca_key_kept_outside_the_bundle_goes_to_nobody(bundle):
    etcd_ca = replace(bundle.authorities["etcd/ca"], key=None)
    without = replace(bundle, authorities={**bundle.authorities, "etcd/ca": etcd_ca})
    assert without.external_authorities == {"etcd/ca"}
    assert "etcd/ca.key" not in blobs.machine_blobs(without, CLUSTER, M2)


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
        "front-proxy-ca.key",
        "etcd/ca.crt",
        "etcd/ca.key",
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
        found = blobs.validity(bundle, CLUSTER, machine)
        assert set(found) == names
    assert blobs.validity(bundle, CLUSTER, M2)["apiserver.crt"] == (
        int(NOW.timestamp()) - 3600,
        int(NOW.timestamp()) + 365 * 86400,
    )


def test_the_inventory_lists_every_certificate(bundle):
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
