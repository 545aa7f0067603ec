import pytest

from kgen.pki.table import CERTS


def test_names_are_unique():
    names = [spec.name for spec in CERTS]
    assert len(names) == len(set(names))


def test_every_ca_stands_before_what_it_signs():
    seen: set[str] = set()
    for spec in CERTS:
        if spec.ca is None:
            seen.add(spec.name)
        else:
            assert spec.ca in seen, spec.name


@pytest.mark.parametrize("spec", CERTS, ids=lambda spec: spec.name)
def test_a_ca_is_the_clusters_and_has_no_usages_and_a_leaf_has_some(spec):
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
