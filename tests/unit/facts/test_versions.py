"""Rows and questions about versions; that they are kubeadm's is shown by tests/oracle."""

from dataclasses import replace

import pytest
import yaml
from tests.clusters import one_master, with_nodes

from kgen.config.load import load_text
from kgen.content import files, kubelet, objects
from kgen.errors import ProblemsError
from kgen.facts import versions
from kgen.facts.versions import parse_version
from kgen.firstboot import parameters
from kgen.payload import expand
from kgen.pki.plan import plan

CLUSTER_FILE = (
    "apiVersion: kgen/v1\nname: c\nkubernetesVersion: {}\nmachines: [{{name: m1, role: master, address: 10.0.0.1}}]\n"
)


def at(version, cluster=None):
    return replace(cluster or one_master(), kubernetes_version=parse_version(version))


@pytest.mark.parametrize(
    ("version", "coredns", "etcd", "pause"),
    [
        ("v1.33.0", "v1.12.0", "3.5.21-0", "3.10"),
        ("v1.33.5", "v1.12.0", "3.5.21-0", "3.10"),
        ("v1.33.6", "v1.12.0", "3.5.24-0", "3.10"),
        ("v1.33.13", "v1.12.0", "3.5.24-0", "3.10"),
        ("v1.34.1", "v1.12.1", "3.6.4-0", "3.10.1"),
        ("v1.34.2", "v1.12.1", "3.6.5-0", "3.10.1"),
        ("v1.35.7", "v1.13.1", "3.6.6-0", "3.10.1"),
        ("v1.36.0", "v1.14.2", "3.6.8-0", "3.10.2"),
        ("v1.37.2", "v1.14.6", "3.7.0-0", "3.10.2"),
    ],
)
def test_tags_of_a_patch(version, coredns, etcd, pause):
    row = versions.release_of(parse_version(version))
    assert (row.coredns, row.etcd, row.pause) == (coredns, etcd, pause)


def test_rows_are_sorted_and_begin_with_the_first_patch():
    assert list(versions.RELEASES) == sorted(versions.RELEASES, key=lambda row: (row.minor, row.first_patch))
    assert {row.minor for row in versions.RELEASES if row.first_patch == 0} == versions.LAST_KNOWN_PATCH.keys()


@pytest.mark.parametrize("minor", versions.LAST_KNOWN_PATCH)
def test_a_patch_newer_than_kgen_is_used_with_the_tags_assumed(minor):
    known, unknown = (f"v1.{minor}.{versions.LAST_KNOWN_PATCH[minor] + more}" for more in (0, 1))
    assert load_text(CLUSTER_FILE.format(known), "cluster.yaml").warnings == ()
    (warning,) = load_text(CLUSTER_FILE.format(unknown), "cluster.yaml").warnings
    tags = versions.release_of(parse_version(known))
    assert warning.code == "K901"
    assert f"etcd {tags.etcd}, CoreDNS {tags.coredns}, pause {tags.pause} assumed" in warning.message


@pytest.mark.parametrize("version", ["v1.32.13", "v1.38.0", "v2.33.0"])
def test_another_minor_is_refused_with_those_there_are(version):
    with pytest.raises(ProblemsError) as caught:
        load_text(CLUSTER_FILE.format(version), "cluster.yaml")
    (problem,) = caught.value.problems
    assert problem.code == "K203"
    assert "v1.33, v1.34, v1.35, v1.36, v1.37" in problem.hint


@pytest.mark.parametrize(
    ("tag", "is_experimental"),
    [
        ("", False),
        ("v3.6.5", False),
        ("3.6.4-0", False),
        ("3.5.21-0", True),
        ("3.6.0-rc.1", True),
        ("v3.6.5_k1", True),
        ("3.6", True),
        ("latest", True),
    ],
)
def test_flags_of_etcd_follow_its_tag_in_between(tag, is_experimental):
    """As kubeadm v1.34.4 and v1.35.4 decide; what it cannot read counts as old."""
    for version in ("v1.34.4", "v1.35.4"):
        assert versions.etcd_flags_are_experimental(parse_version(version), tag) == is_experimental
    assert versions.etcd_flags_are_experimental(parse_version("v1.33.13"), tag)
    assert not versions.etcd_flags_are_experimental(parse_version("v1.36.3"), tag)


@pytest.mark.parametrize(
    ("version", "is_bound"),
    [
        ("v1.33.11", False),
        ("v1.33.12", True),
        ("v1.34.7", False),
        ("v1.34.8", True),
        ("v1.35.4", False),
        ("v1.35.5", True),
        ("v1.36.0", False),
        ("v1.36.1", True),
        ("v1.37.0", True),
    ],
)
def test_the_kubelets_client_has_its_groups_rights_or_a_binding(version, is_bound):
    cluster = at(version)
    (client,) = (request for request in plan(cluster) if request.row == "apiserver-kubelet-client")
    names = [entry.body["metadata"]["name"] for entry in objects.api_objects(cluster, ["abcdef.0123456789abcdef"])]
    assert client.groups == (() if is_bound else ("kubeadm:cluster-admins",))
    assert ("kubeadm:apiserver-kubelet-client" in names) == is_bound
    assert names[0] == "kubeadm:cluster-admins"


@pytest.mark.parametrize("version", ["v1.33.13", "v1.34.4"])
def test_the_cri_socket_is_given_in_one_place(version):
    """By flag and annotation, or by the kubelet's configuration; for nodes as for masters."""
    cluster = at(version, with_nodes(1))
    is_old = version.startswith("v1.33")
    socket = "unix:///var/run/containerd/containerd.sock"
    for machine in (cluster.masters[0], cluster.machines[-1], cluster.pools[0]):
        assert (f"--container-runtime-endpoint={socket}" in kubelet.flags_env(cluster, machine)) == is_old
        node = parameters.parameters(cluster, machine, {})["node"]
        assert node["metadata"].get("annotations", {}) == (
            {"kubeadm.alpha.kubernetes.io/cri-socket": socket} if is_old else {}
        )
    worker = files.WorkerFiles(cluster, "abcdef.0123456789abcdef").of(cluster.machines[-1])
    by_name = {file.path.name: expand(file.content, {}) for file in worker if "/kubelet/" in str(file.path)}
    assert ("instance-config.yaml" in by_name) == (not is_old)
    assert yaml.safe_load(by_name["config.yaml"])["containerRuntimeEndpoint"] == ("" if is_old else socket)


@pytest.mark.parametrize(
    ("version", "image"),
    [("v1.33.13", "r.example/pause:3.10"), ("v1.34.4", "r.example/pause:3.10.1"), ("v1.35.4", None)],
)
def test_the_pause_image_is_a_flag_up_to_v1_34(version, image):
    cluster = at(version, replace(with_nodes(1), image_repository="r.example"))
    arguments = kubelet.flags_env(cluster, cluster.machines[-1])
    assert ("--pod-infra-container-image" in arguments) == (image is not None)
    assert image is None or f"--pod-infra-container-image={image}" in arguments
