"""Patches that cannot be applied, and what the order of files does; tests/oracle compares the rest with kubeadm."""

import pytest
import yaml
from tests.unit.config.broken_cases import BASE

from kgen.config.load import load
from kgen.errors import ProblemsError
from kgen.render import files, kubelet, manifests, objects, parameters

APISERVER = next(pod for pod in manifests.STATIC_PODS if pod.name == "kube-apiserver")


@pytest.fixture
def load_with(tmp_path):
    """Load a cluster file beside a directory with these patches."""

    def load_with(patches):
        (tmp_path / "changes").mkdir()
        for name, text in patches.items():
            (tmp_path / "changes" / name).write_text(text)
        (tmp_path / "cluster.yaml").write_text(f"{BASE}patches: {{directory: changes}}\n")
        return load(tmp_path / "cluster.yaml")

    return load_with


@pytest.fixture
def cluster_of(load_with):
    return lambda patches: load_with(patches).cluster


def manifest(cluster):
    return yaml.safe_load(manifests.manifest(APISERVER, cluster, cluster.masters[0]))


@pytest.mark.parametrize(
    ("name", "text", "line", "said"),
    [
        ("kube-apiserver+json.yaml", "- {op: remove, path: /spec/hostPID}", 1, "hostPID"),
        ("kube-apiserver+json.yaml", "- {op: test, path: /kind, value: Deployment}", 1, "Deployment"),
        ("kube-apiserver+json.yaml", "- {op: delete, path: /spec/priority}", 1, "delete"),
        ("kube-apiserver+json.yaml", "- {op: replace, path: '', value: []}", 1, "apiVersion must stay"),
        ("kube-apiserver+merge.yaml", "metadata: {name: other}", 1, "metadata.name must stay"),
        ("kube-apiserver.yaml", "kind: Deployment", 1, "kind must stay"),
        ("kube-apiserver.yaml", "---\nspec: {containers: [{image: a}]}", 2, "needs its name"),
        ("kube-apiserver.yaml", "spec: {containers: [text]}", 1, "needs its name"),
        ("kube-apiserver.yaml", "spec: {$setElementOrder/containers: []}", 1, "use a JSON patch"),
        ("kube-apiserver.yaml", "spec: {$patch: merge}", 1, "not 'merge'"),
        ("kube-apiserver.yaml", "spec: {$retainKeys: [priority], hostPID: true}", 1, "all the keys of the patch"),
        ("kube-apiserver.yaml", "spec: {containers: 7, affinity: {a: {$patch: x}}}", 1, "not 'x'"),
    ],
)
def test_a_patch_that_does_not_fit_is_told_with_its_place(cluster_of, name, text, line, said):
    cluster = cluster_of({name: text})
    with pytest.raises(ProblemsError) as caught:
        manifest(cluster)
    (problem,) = caught.value.problems
    assert problem.file.endswith(f"/changes/{name}")
    assert (problem.line, problem.code) == (line, "K604")
    assert said in problem.message


def test_patches_are_applied_in_the_order_of_their_files(cluster_of):
    cluster = cluster_of(
        {
            "kube-apiserver2+json.yaml": "- {op: test, path: /metadata/labels/step, value: one}\n"
            "- {op: replace, path: /metadata/labels/step, value: two}",
            "kube-apiserver1.yaml": "metadata: {labels: {step: zero}}\n---\nmetadata: {labels: {step: one}}",
            ".kube-apiserver3.yaml.swp": "nobody's",
        }
    )
    assert manifest(cluster)["metadata"]["labels"]["step"] == "two"


def test_only_what_is_patched_changes(cluster_of):
    cluster = cluster_of({"etcd.yaml": "spec: {priority: 7}"})
    for pod in manifests.STATIC_PODS:
        text = manifests.manifest(pod, cluster, cluster.masters[0])
        assert (yaml.safe_load(text)["spec"]["priority"] == 7) == (pod.name == "etcd")


def test_a_nodes_kubelet_is_patched_and_the_clusters_configuration_is_not(cluster_of):
    cluster = cluster_of({"kubeletconfiguration.yaml": "{maxPods: 7, resolvConf: /etc/own.conf}"})
    (path,) = (
        file for file in files.WorkerFiles(cluster, "a.b").of(cluster.masters[0]) if file.path.name == "config.yaml"
    )
    assert "maxPods: 7\n" in path.content[0]
    assert "maxPods" not in kubelet.configuration(cluster)
    assert parameters.parameters(cluster, cluster.masters[0], {})["resolvConf"] is False


def test_addons_are_patched(cluster_of):
    cluster = cluster_of({"corednsdeployment.yaml": "spec: {replicas: 7}", "kubeproxydaemonset.yaml": "spec: {a: 7}"})
    bodies = [each.body for each in objects.api_objects(cluster, ("abcdef.0123456789abcdef",))]
    by_name = {(body["kind"], body["metadata"]["name"]): body for body in bodies}
    assert by_name["Deployment", "coredns"]["spec"]["replicas"] == 7
    assert by_name["DaemonSet", "kube-proxy"]["spec"]["a"] == 7


def test_a_directory_without_patches_is_worth_a_word(load_with):
    (warning,) = load_with({"README.md": ""}).warnings
    assert (warning.code, warning.field) == ("K912", "patches.directory")
