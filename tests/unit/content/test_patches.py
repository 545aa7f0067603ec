"""Patches that cannot be applied, and what the order of files does; tests/oracle compares the rest with kubeadm."""

from dataclasses import replace

import pytest
import yaml
from tests.unit.config.broken_cases import BASE

from kgen.config.load import load
from kgen.content import files, kubelet, manifests, objects
from kgen.errors import ProblemsError
from kgen.firstboot import parameters

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
        ("kube-apiserver+json.yaml", "- {op: replace, path: '', value: {}}", 1, "apiVersion must stay"),
        ("kube-apiserver+merge.yaml", "metadata: {name: other}", 1, "metadata.name must stay"),
        ("kube-apiserver.yaml", "kind: Deployment", 1, "kind must stay"),
        ("kube-apiserver.yaml", "---\nspec: {containers: [{image: a}]}", 2, "needs its name"),
        ("kube-apiserver.yaml", "spec: {containers: [{name: null}]}", 1, "needs its name"),
        ("kube-apiserver.yaml", "spec: {$setElementOrder/containers: []}", 1, "use a JSON patch"),
        ("kube-apiserver.yaml", "spec: {$patch: merge}", 1, "not 'merge'"),
        ("kube-apiserver.yaml", "spec: {$retainKeys: [priority], hostPID: true}", 1, "all the keys of the patch"),
        ("kube-apiserver.yaml", "spec: {affinity: {nodeAffinity: {$patch: x}}}", 1, "not 'x'"),
    ],
)
def test_a_patch_that_cannot_be_applied_is_reported_with_its_line(cluster_of, name, text, line, said):
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


def test_a_patch_changes_its_own_component_only(cluster_of):
    cluster = cluster_of({"etcd.yaml": "spec: {priority: 7}"})
    clusters = replace(cluster, patches=()), cluster
    for pod in manifests.STATIC_PODS:
        before, after = (yaml.safe_load(manifests.manifest(pod, each, each.masters[0])) for each in clusters)
        if pod.name == "etcd":
            before["spec"]["priority"] = 7
        assert after == before


def test_a_nodes_kubelet_is_patched_and_the_clusters_configuration_is_not(cluster_of):
    cluster = cluster_of({"kubeletconfiguration.yaml": "{maxPods: 7, resolvConf: /etc/own.conf}"})
    (path,) = (
        file for file in files.WorkerFiles(cluster, "a.b").of(cluster.masters[0]) if file.path.name == "config.yaml"
    )
    assert "maxPods: 7\n" in path.content[0]
    assert "maxPods" not in kubelet.configuration(cluster)
    assert parameters.parameters(cluster, cluster.masters[0], {})["resolvConf"] is False


def test_addons_are_patched(cluster_of):
    cluster = cluster_of(
        {"corednsdeployment.yaml": "spec: {replicas: 7}", "kubeproxydaemonset.yaml": "spec: {minReadySeconds: 7}"}
    )
    bodies = [each.body for each in objects.api_objects(cluster, ("abcdef.0123456789abcdef",))]
    by_name = {(body["kind"], body["metadata"]["name"]): body for body in bodies}
    assert by_name["Deployment", "coredns"]["spec"]["replicas"] == 7
    assert by_name["DaemonSet", "kube-proxy"]["spec"]["minReadySeconds"] == 7


def test_a_patched_addon_has_canonical_quantities(cluster_of):
    patch = "- {op: add, path: /spec/template/spec/containers/0/resources, value: {limits: {memory: 0.5Gi}}}"
    cluster = cluster_of({"kubeproxydaemonset+json.yaml": patch})
    bodies = [each.body for each in objects.api_objects(cluster, ("abcdef.0123456789abcdef",))]
    (body,) = (body for body in bodies if body["kind"] == "DaemonSet")
    assert body["spec"]["template"]["spec"]["containers"][0]["resources"] == {"limits": {"memory": "512Mi"}}
    assert "status" not in body


def test_a_replaced_list_is_the_patchs(cluster_of):
    mounts = "[{$patch: replace}, {name: a, mountPath: /a}, {name: b, mountPath: /a}]"
    cluster = cluster_of(
        {"kube-apiserver.yaml": f"spec: {{containers: [{{name: kube-apiserver, volumeMounts: {mounts}}}]}}"}
    )
    assert [each["name"] for each in manifest(cluster)["spec"]["containers"][0]["volumeMounts"]] == ["a", "b"]


def test_a_patched_configuration_that_the_kubelet_refuses_is_reported(cluster_of):
    text = "---\nenforceNodeAllocatable: [pods, kube-reserved]\nfeatureGates: {A: true}"
    cluster = cluster_of({"kubeletconfiguration.yaml": text})
    with pytest.raises(ProblemsError) as caught:
        kubelet.machine_configuration(cluster, cluster.masters[0])
    assert [(problem.code, problem.line, problem.field) for problem in caught.value.problems] == [
        ("K364", 2, "enforceNodeAllocatable[1]"),
        ("K364", 2, "featureGates.A"),
    ]


def test_a_directory_without_patches_is_worth_a_word(load_with):
    (warning,) = load_with({"README.md": ""}).warnings
    assert (warning.code, warning.field) == ("K912", "patches.directory")


def test_a_machine_has_its_own_patches_in_place_of_the_clusters(tmp_path):
    for name, value in ("all", 1), ("own", 2):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kubeletconfiguration.yaml").write_text(f"maxPods: {value}")
        (tmp_path / name / "kube-apiserver.yaml").write_text(f"spec: {{priority: {value}}}")
    (tmp_path / "cluster.yaml").write_text(
        "apiVersion: kgen/v1\nname: c\nkubernetesVersion: v1.37.2\ncontrolPlaneEndpoint: api.example.com\n"
        "patches: {directory: all}\nmachines:\n  - {name: m1, role: master, address: 10.0.0.1}\n"
        "  - {name: m2, role: master, address: 10.0.0.2, patches: {directory: own}}\n"
        "  - {name: m3, role: master, address: 10.0.0.3}\n"
    )
    cluster = load(tmp_path / "cluster.yaml").cluster
    for machine, value in zip(cluster.machines, (1, 2, 1), strict=True):
        assert kubelet.machine_configuration(cluster, machine)["maxPods"] == value
        assert yaml.safe_load(manifests.manifest(APISERVER, cluster, machine))["spec"]["priority"] == value
