from dataclasses import replace

import pytest
from tests.clusters import one_master

from kgen.content import images
from kgen.model import Addon, LocalEtcd


@pytest.mark.parametrize(
    ("repository", "dns", "image"),
    [
        ("registry.k8s.io", Addon(), "registry.k8s.io/coredns/coredns:v1.14.6"),
        ("r.example/k8s", Addon(), "r.example/k8s/coredns:v1.14.6"),
        ("r.example/k8s", Addon(image_repository="registry.k8s.io"), "registry.k8s.io/coredns/coredns:v1.14.6"),
        ("registry.k8s.io", Addon(image_repository="r.example", image_tag="v1"), "r.example/coredns:v1"),
    ],
)
def test_coredns_has_a_longer_path_in_the_default_registry(repository, dns, image):
    assert images.coredns(replace(one_master(), image_repository=repository, dns=dns)) == image


def test_etcd_may_come_from_elsewhere():
    assert images.etcd(one_master()) == "registry.k8s.io/etcd:3.7.0-0"
    etcd = LocalEtcd(image_repository="r.example/x", image_tag="v9")
    assert images.etcd(replace(one_master(), etcd=etcd)) == "r.example/x/etcd:v9"


def test_components_carry_the_version():
    assert images.component(one_master(), "kube-proxy") == "registry.k8s.io/kube-proxy:v1.37.2"
