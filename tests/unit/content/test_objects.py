import base64
from dataclasses import replace
from datetime import timedelta

import pytest
import yaml
from tests.clusters import one_master, three_masters

from kgen.content import objects
from kgen.errors import InputError
from kgen.facts import api_kinds
from kgen.model import Addon, BootstrapToken, Manifest
from kgen.payload import PemBase64

TOKEN = "abcdef.0123456789abcdef"  # test-only


def published(cluster, tokens=(TOKEN,)):
    return objects.api_objects(cluster, tokens)


def one(cluster, kind, name, tokens=(TOKEN,)):
    return next(entry for entry in published(cluster, tokens) if (entry.kind, entry.name) == (kind, name))


def test_administrators_come_first_and_the_mark_last():
    entries = published(three_masters())
    assert (entries[0].kind, entries[0].name) == ("ClusterRoleBinding", "kubeadm:cluster-admins")
    assert (entries[-1].kind, entries[-1].namespace, entries[-1].name) == ("ConfigMap", "kube-system", "kgen")


def test_what_is_referred_to_is_published_before():
    names = [f"{entry.kind} {entry.name}" for entry in published(three_masters())]
    for first, then in [
        ("Role kubeadm:kubelet-config", "RoleBinding kubeadm:kubelet-config"),
        ("Secret bootstrap-token-abcdef", "ConfigMap cluster-info"),
        ("ConfigMap cluster-info", "ConfigMap kubeadm-config"),
        ("ConfigMap kubelet-config", "ServiceAccount coredns"),
        ("ConfigMap coredns", "Deployment coredns"),
        ("ConfigMap kube-proxy", "DaemonSet kube-proxy"),
    ]:
        assert names.index(first) < names.index(then)


def test_every_object_is_created_in_the_collection_of_its_kind():
    for entry in published(three_masters()):
        kind = api_kinds.BUILT_IN[api_kinds.group_of(entry.body["apiVersion"]), entry.kind]
        assert entry.body["apiVersion"].rpartition("/")[2] in kind.versions
        assert bool(entry.namespace) is kind.namespaced
    assert one(one_master(), "Role", "kube-proxy").collection == (
        "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles"
    )
    assert one(one_master(), "Secret", "bootstrap-token-abcdef").collection == "/api/v1/namespaces/kube-system/secrets"
    assert one(one_master(), "ClusterRole", "system:coredns").collection == (
        "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    )


@pytest.mark.parametrize(("ttl", "seconds"), [(timedelta(hours=24), 86400), (timedelta(0), None)])
def test_a_token_lives_as_long_as_the_file_says(ttl, seconds):
    cluster = replace(one_master(), bootstrap_tokens=(BootstrapToken(ttl=ttl, description="for racks"),))
    entry = one(cluster, "Secret", "bootstrap-token-abcdef")
    assert entry.ttl_seconds == seconds
    assert {key: base64.b64decode(value).decode() for key, value in entry.body["data"].items()} == {
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
        "description": "for racks",
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
    }


def test_cluster_info_shows_endpoint_and_ca():
    entry = one(three_masters(), "ConfigMap", "cluster-info")
    ((keys, content),) = entry.fill
    assert keys == ("data", "kubeconfig")
    assert PemBase64("ca.crt") in content
    text = "".join(piece if isinstance(piece, str) else "CA" for piece in content)
    assert yaml.safe_load(text)["clusters"] == [
        {"cluster": {"certificate-authority-data": "CA", "server": "https://api.prod.example.com:6443"}, "name": ""}
    ]


def test_disabled_add_ons_are_left_out():
    cluster = replace(one_master(), dns=Addon(disabled=True), proxy=Addon(disabled=True))
    assert not [entry for entry in published(cluster) if "coredns" in entry.name or "proxy" in entry.name]
    configuration = yaml.safe_load(one(cluster, "ConfigMap", "kubeadm-config").body["data"]["ClusterConfiguration"])
    assert configuration["dns"] == configuration["proxy"] == {"disabled": True}


def test_only_generated_component_configurations_carry_a_hash():
    ours = replace(one_master(), kubelet={"maxPods": 1}, kube_proxy={"mode": "nftables"})
    for name in ("kubelet-config", "kube-proxy"):
        assert "annotations" in one(one_master(), "ConfigMap", name).body["metadata"]
        assert "annotations" not in one(ours, "ConfigMap", name).body["metadata"]


def manifest(kind, namespace, name):
    metadata = {"name": name, "namespace": namespace}
    body = {"apiVersion": "v1", "kind": kind, "metadata": metadata}
    return Manifest(f"/api/v1/namespaces/{namespace}/{kind.lower()}s", body, "a.yaml:1:1")


def test_the_users_objects_come_after_the_add_ons_and_before_the_mark():
    cluster = replace(one_master(), manifests=(manifest("Secret", "a", "b"), manifest("ConfigMap", "a", "b")))
    *own, secret, settings, mark = published(cluster)
    assert own == list(published(one_master())[:-1])
    assert (secret.kind, settings.kind, mark.name) == ("Secret", "ConfigMap", "kgen")
    assert secret.collection == "/api/v1/namespaces/a/secrets"
    assert secret.fill == ()
    assert secret.ttl_seconds is None


@pytest.mark.parametrize("name", ["coredns", "kgen", "kubeadm-config"])
def test_an_object_of_kgens_own_cannot_be_the_users(name):
    cluster = replace(one_master(), manifests=(manifest("ConfigMap", "kube-system", name),))
    with pytest.raises(InputError, match=f"a.yaml:1:1: kgen publishes ConfigMap {name} itself"):
        published(cluster)


def test_a_disabled_add_on_makes_room():
    mine = (manifest("ConfigMap", "kube-system", "coredns"),)
    cluster = replace(one_master(), dns=Addon(disabled=True), manifests=mine)
    assert published(cluster)[-2].name == "coredns"
