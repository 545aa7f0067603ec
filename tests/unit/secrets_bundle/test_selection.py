from dataclasses import replace

import pytest
from tests import clusters

from kgen.errors import InputError
from kgen.pki.plan import plan
from kgen.secrets_bundle.selection import leaves

THREE = clusters.three_masters()


def test_no_name_means_every_leaf():
    assert leaves(THREE) == {request.name for request in plan(THREE) if request.ca}


def test_a_name_selects_a_leaf_a_row_or_a_machine():
    assert leaves(THREE, ["m1/etcd/peer"]) == {"m1/etcd/peer"}
    assert leaves(THREE, ["etcd/peer", "admin"]) == {"m1/etcd/peer", "m2/etcd/peer", "m3/etcd/peer", "admin"}
    assert leaves(THREE, ["m2"]) == {request.name for request in plan(THREE) if request.machine == "m2"}


def test_a_name_of_a_certificate_and_a_machine_selects_the_certificate():
    cluster = replace(THREE, machines=(clusters.master("admin", "10.0.0.11"),))
    assert leaves(cluster, ["admin"]) == {"admin"}


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(InputError) as caught:
        leaves(THREE, ["m1/apisever"])
    assert caught.value.hint == "did you mean 'm1/apiserver'?"


@pytest.mark.parametrize("name", ["ca", "etcd/ca"])
def test_cas_are_not_renewed(name):
    with pytest.raises(InputError, match="is a CA"):
        leaves(THREE, [name])
