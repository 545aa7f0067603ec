from dataclasses import replace

import pytest
from tests.clusters import one_master, three_masters, with_nodes

from kgen.content import flags
from kgen.facts import versions
from kgen.model import Pki
from kgen.pki.table import CERTS, certificates, other_files, pki_files

VERSIONS = [versions.Version(1, minor, patch) for minor in versions.LAST_KNOWN_PATCH for patch in (0, 99)]


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_names_are_unique_in_every_cluster(version):
    pki = Pki(kubelet_serving_certificates=True)
    names = [spec.name for spec in certificates(replace(one_master(), kubernetes_version=version, pki=pki))]
    assert len(names) == len(set(names))
    assert set(names) == {spec.name for spec in CERTS}


def test_masters_get_the_files_of_kubeadms_pki_directory():
    pairs = "ca apiserver apiserver-kubelet-client front-proxy-ca front-proxy-client"
    etcd = "etcd/ca etcd/server etcd/peer etcd/healthcheck-client apiserver-etcd-client"
    names = [f"{stem}.{suffix}" for stem in f"{pairs} {etcd}".split() for suffix in ("crt", "key")]
    assert list(pki_files(one_master(), "master")) == [*names, "sa.key", "sa.pub"]


def test_two_keys_stay_in_the_bundle_if_only_the_cluster_cas_is_shipped():
    everything = set(pki_files(one_master(), "master"))
    fewer = set(pki_files(replace(one_master(), pki=Pki(ship_ca_keys="cluster")), "master"))
    assert everything - fewer == {"etcd/ca.key", "front-proxy-ca.key"}


def test_nodes_get_the_cluster_cas_certificate_only():
    assert list(pki_files(with_nodes(1), "node")) == ["ca.crt"]


def test_listed_machines_get_their_kubelets_serving_certificate_beside_the_pki_directory():
    cluster = replace(with_nodes(1), pki=Pki(kubelet_serving_certificates=True))
    directory = "/var/lib/kubelet/pki"
    for machine in cluster.machines:
        assert [(str(path), blob) for path, blob in other_files(cluster, machine)] == [
            (f"{directory}/kubelet-serving.crt", "kubelet-serving.crt"),
            (f"{directory}/kubelet-serving.key", "kubelet-serving.key"),
        ]
    assert [*other_files(cluster, cluster.pools[0]), *other_files(with_nodes(1), cluster.machines[0])] == []
    assert list(pki_files(cluster, "node")) == ["ca.crt"]
    assert list(pki_files(cluster, "master")) == list(pki_files(with_nodes(1), "master"))


def test_every_file_that_a_flag_names_is_on_the_master():
    cluster = three_masters()
    master = cluster.masters[1]
    values = [
        value
        for component in (flags.etcd, flags.apiserver, flags.controller_manager, flags.scheduler)
        for value in component(cluster, master).values()
    ]
    prefix = "/etc/kubernetes/pki/"
    named = {value.removeprefix(prefix) for value in values if value.startswith(prefix)}
    assert len(named) > 10
    assert named <= set(pki_files(cluster, "master"))


def test_every_ca_comes_before_the_certificates_it_signs():
    seen: set[str] = set()
    for spec in CERTS:
        if spec.ca is None:
            seen.add(spec.name)
        else:
            assert spec.ca in seen, spec.name


@pytest.mark.parametrize("spec", CERTS, ids=lambda spec: spec.name)
def test_a_ca_is_cluster_wide_without_usages_and_a_leaf_has_usages(spec):
    if spec.ca is None:
        assert (spec.scope, spec.usages, spec.groups, spec.sans) == ("cluster", (), (), None)
    else:
        assert spec.usages
        assert (spec.sans is not None) == ("serverAuth" in spec.usages)


def test_only_super_admin_is_in_the_group_that_no_authorizer_refuses():
    assert [spec.name for spec in CERTS if "system:masters" in spec.groups] == ["super-admin"]


def test_a_name_that_is_made_for_each_master_never_reads_as_one_made_for_the_cluster():
    once = {spec.name for spec in CERTS if spec.scope == "cluster"}
    for spec in CERTS:
        for machine in ("etcd", "ca", "admin", "m1"):
            assert spec.scope == "cluster" or f"{machine}/{spec.name}" not in once
