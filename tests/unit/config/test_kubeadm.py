"""The real ``kubeadm config validate`` of every minor agrees with the loader on fields and values that both know."""

import json
import re
import subprocess

import pytest
from tests.oracle.kubeadm import NEWEST, VERSIONS, program

from kgen import versions
from kgen.config import components
from kgen.config.fields import CLUSTER, FEATURE_GATES
from kgen.config.kinds import Boolean, Choice, Integer, Number
from kgen.config.load import load_text
from kgen.config.objects import ListOf, MapOf, Object
from kgen.config.rules.registration import GONE_GATES
from kgen.errors import ProblemsError

pytestmark = pytest.mark.real
API = "kubeadm.k8s.io/v1beta4"


def kubeadm(version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program(version), *arguments], capture_output=True, text=True, check=False)


def validate(tmp_path, *documents: dict) -> str:
    """Return what kubeadm has against the documents, the first of which says the version; empty if nothing."""
    path = tmp_path / "kubeadm.yaml"
    path.write_text("\n---\n".join(json.dumps(document) for document in documents))
    done = kubeadm(documents[0]["kubernetesVersion"], "config", "validate", "--config", str(path))
    return "" if done.returncode == 0 else done.stderr


def sample(kind):
    samples = {Boolean: True, Integer: 1, Number: 0.5}
    if isinstance(kind, Object):
        return {row.key: sample(row.kind) for row in kind.fields}
    if isinstance(kind, ListOf):
        return [sample(kind.item)]
    if isinstance(kind, MapOf):
        return {"a": sample(kind.value)}
    if isinstance(kind, Choice):
        return kind.values[-1]
    return {components.DURATION: "1m0s", components.QUANTITY: "1"}.get(kind) or samples.get(type(kind), "x")


def component_documents(version: str) -> list[dict]:
    kubelet = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
    proxy = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}
    cluster = {"apiVersion": API, "kind": "ClusterConfiguration", "kubernetesVersion": version}
    return [cluster, kubelet | sample(components.KUBELET), proxy | sample(components.KUBE_PROXY)]


@pytest.mark.parametrize("version", VERSIONS)
def test_fields_of_components_are_kubeadms(tmp_path, version):
    documents = component_documents(version)
    later = [name for name in documents[1] if versions.kubelet_field_since(versions.parse_version(version), name)]
    assert set(re.findall(r'unknown field "(\w+)"', validate(tmp_path, *documents))) == set(later)
    for name in later:
        del documents[1][name]
    assert validate(tmp_path, *documents) == ""
    documents[1]["maxPodz"] = 1
    assert 'unknown field "maxPodz"' in validate(tmp_path, *documents)


@pytest.mark.parametrize("version", VERSIONS)
def test_feature_gates_are_kubeadms(version):
    text = kubeadm(version, "init", "--help").stdout
    gates = {line.split("=")[0].split()[-1] for line in text.splitlines() if "=true|false" in line}
    parsed = versions.parse_version(version)
    assert gates == {*FEATURE_GATES, *(gate for gate in GONE_GATES if versions.has_gate(parsed, gate))}


@pytest.mark.parametrize("version", VERSIONS)
def test_p384_is_known_since_v1_34(tmp_path, version):
    fields = {"encryptionAlgorithm": "ECDSA-P384"}
    refused = by_loader(fields, version)
    assert bool(by_kubeadm(tmp_path, fields, version)) == bool(refused) == (version == "v1.33.13")


@pytest.mark.parametrize(
    "fields",
    [
        {"networking": {"serviceSubnet": "10.96.0.0/28"}},
        {"networking": {"serviceSubnet": "10.96.0.0/29"}},
        {"networking": {"serviceSubnet": "10.96.0.0/12"}},
        {"networking": {"serviceSubnet": "10.0.0.0/11"}},
        {"networking": {"podSubnet": "10.244.0.0/24"}},
        {"networking": {"podSubnet": "10.244.0.0/25"}},
        {"networking": {"podSubnet": "11.0.0.0/8"}},
        {"networking": {"podSubnet": "10.244.0.0"}},
        {"networking": {"dnsDomain": "my_cluster"}},
        {"networking": {"dnsDomain": "cluster.internal"}},
        {"controlPlaneEndpoint": "api.example.com"},
        {"controlPlaneEndpoint": "api.example.com:0"},
        {"controlPlaneEndpoint": "api.example.com:65536"},
        {"controlPlaneEndpoint": "https://api.example.com"},
        {"controlPlaneEndpoint": "API.example.com"},
        {"apiServer": {"certSANs": ["*.example.com", "10.0.0.1", "fd00::1"]}},
        {"etcd": {"local": {"serverCertSANs": ["Example.com"]}}},
        {"apiServer": {"certSANs": ["*.*.example.com"]}},
        {"apiServer": {"certSANs": ["example.com:6443"]}},
        {"apiServer": {"extraArgs": [{"name": "v", "value": "2"}, {"name": "v", "value": "3"}]}},
        {"apiServer": {"extraArgs": {"v": "2"}}},
        {"apiServer": {"extraArgs": [{"name": "v", "value": 2}]}},
        {"etcd": {"local": {"dataDir": "relative"}}},
        {"encryptionAlgorithm": "ECDSA-P384"},
        {"encryptionAlgorithm": "RSA-2049"},
        {"certificateValidityPeriod": "365d"},
        {"certificateValidityPeriod": "1h30m"},
        {"featureGates": {"PublicKeysECDSA": True}},
        {"featureGates": {"RootlessControlPlane": False}},
    ],
    ids=str,
)
def test_kubeadm_takes_what_the_loader_takes(tmp_path, fields):
    assert set(fields) <= set(CLUSTER.by_key)
    refused = by_loader(fields)
    assert bool(by_kubeadm(tmp_path, fields)) == bool(refused), refused


@pytest.mark.parametrize(
    "fields",
    [
        {"networking": {"podSubnet": "10.244.1.0/16"}},  # kubeadm passes on the address inside the network
        {"apiServer": {"certSANs": ["Example.com"]}},  # kubeadm changes it to lower case
        {"clusterName": "my cluster"},  # kubeadm writes an argument with a blank
        {"networking": {"serviceSubnet": "10.96.0.0/16", "podSubnet": "10.96.0.0/16"}},
    ],
    ids=str,
)
def test_the_loader_is_stricter(tmp_path, fields):
    assert by_loader(fields)
    assert by_kubeadm(tmp_path, fields) == ""


def by_kubeadm(tmp_path, fields, version=NEWEST) -> str:
    return validate(
        tmp_path, {"apiVersion": API, "kind": "ClusterConfiguration", "kubernetesVersion": version, **fields}
    )


def by_loader(fields, version=NEWEST) -> str:
    machine = {"name": "m1", "role": "master", "address": "192.0.2.1"}
    text = json.dumps({"name": "c", "kubernetesVersion": version, "machines": [machine], **fields})
    try:
        load_text(text, "cluster.yaml")
    except ProblemsError as error:
        return str(error)
    return ""
