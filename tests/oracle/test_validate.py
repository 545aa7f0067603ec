"""kgen's loader and ``kubeadm config validate`` agree about the fields and values that both know.

The newest kubeadm is asked for real. The answers of the older ones are recorded (``records.py``).
"""

import json

import pytest

from kgen.config.fields import CLUSTER, FEATURE_GATES
from kgen.config.load import load_text
from kgen.config.rules.registration import GONE_GATES
from kgen.errors import ProblemsError
from kgen.facts import programs, versions
from tests.oracle import records, validate
from tests.oracle.kubeadm import NEWEST, RECORDED


@pytest.fixture(params=[*RECORDED, pytest.param(NEWEST, marks=pytest.mark.real)])
def version(request):
    return request.param


@pytest.fixture
def answers(version):
    return validate.answers(version) if version == NEWEST else records.answers(version)


def test_fields_of_components_are_kubeadms(version, answers):
    assert answers["asked"] == validate.component_documents(version), "kgen knows other fields now: run `make oracle`"
    kubelet = answers["asked"][1].keys() - {validate.MISSPELT}
    later = kubelet - programs.of(versions.parse_version(version)).types["KubeletConfiguration"].keys()
    assert set(answers["unknownFields"]) == {*later, validate.MISSPELT}
    assert answers["refusalWithoutThese"] == ""


def test_feature_gates_are_kubeadms(version, answers):
    parsed = versions.parse_version(version)
    gone = {gate for gate in GONE_GATES if versions.has_gate(parsed, gate)}
    assert set(answers["featureGates"]) == {*FEATURE_GATES, *gone}


def test_p384_is_known_since_v1_34(version, answers):
    refused = by_loader({"encryptionAlgorithm": "ECDSA-P384"}, version)
    assert answers["knowsP384"] == (not refused) == (version != "v1.33.13")


@pytest.mark.real
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
        {"networking": {"podSubnet": "10.244.1.0/16"}},
        {"apiServer": {"certSANs": ["Example.com"]}},
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
def test_kubeadm_takes_what_the_loader_takes(fields):
    assert set(fields) <= set(CLUSTER.by_key)
    refused = by_loader(fields)
    assert bool(validate.by_kubeadm(fields)) == bool(refused), refused


@pytest.mark.real
@pytest.mark.parametrize(
    "fields",
    [
        {"clusterName": "my cluster"},  # kubeadm writes an argument with a blank
        {"networking": {"serviceSubnet": "10.96.0.0/16", "podSubnet": "10.96.0.0/16"}},
    ],
    ids=str,
)
def test_the_loader_is_stricter_than_kubeadm(fields):
    assert by_loader(fields)
    assert validate.by_kubeadm(fields) == ""


def by_loader(fields, version=NEWEST) -> str:
    machine = {"name": "m1", "role": "master", "address": "192.0.2.1"}
    text = json.dumps({"name": "c", "kubernetesVersion": version, "machines": [machine], **fields})
    try:
        load_text(text, "cluster.yaml")
    except ProblemsError as error:
        return str(error)
    return ""
