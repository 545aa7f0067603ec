"""Every leaf of kubeadm's v1beta4 is in the imported file, live or in a comment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kgen.kubeadm import documents
from kgen.kubeadm.importing import import_documents

API = "kubeadm.k8s.io/v1beta4"
SECRET = "abcdef.0123456789abcdef"


def component(word: str) -> dict[str, Any]:
    return {
        "extraArgs": [{"name": f"{word}-flag", "value": f"{word}-value"}],
        "extraVolumes": [
            {
                "name": f"{word}-volume",
                "hostPath": f"/{word}/host",
                "mountPath": f"/{word}/mount",
                "readOnly": True,
                "pathType": "Directory",
            }
        ],
        "extraEnvs": [{"name": f"{word.upper()}_ENV", "value": f"{word}-env"}],
    }


def registration(word: str) -> dict[str, Any]:
    return {
        "name": word,
        "criSocket": f"unix:///run/{word}.sock",
        "taints": [{"key": f"{word}-key", "value": f"{word}-taint", "effect": "NoExecute"}],
        "kubeletExtraArgs": [{"name": f"{word}-kubelet", "value": f"{word}-argument"}],
        "ignorePreflightErrors": [f"{word}Check"],
        "imagePullPolicy": "Never",
        "imagePullSerial": False,
    }


TIMEOUTS = {
    "controlPlaneComponentHealthCheck": "11m0s",
    "kubeletHealthCheck": "12m0s",
    "kubernetesAPICall": "13m0s",
    "etcdAPICall": "14m0s",
    "tlsBootstrap": "15m0s",
    "discovery": "16m0s",
    "upgradeManifests": "17m0s",
}
DOCUMENTS: list[dict[str, Any]] = [
    {
        "apiVersion": API,
        "kind": "InitConfiguration",
        "bootstrapTokens": [
            {
                "token": SECRET,
                "description": "a-description",
                "ttl": "3h0m0s",
                "expires": "2030-01-01T00:00:00Z",
                "usages": ["authentication", "signing"],
                "groups": ["system:bootstrappers:a-group"],
            }
        ],
        "dryRun": True,
        "nodeRegistration": registration("first"),
        "localAPIEndpoint": {"advertiseAddress": "10.0.0.11", "bindPort": 7001},
        "certificateKey": "e6a2eb8581237ab72a4f494f30285ec12a9694d750b9785706a83bfcbbbd2204",
        "skipPhases": ["preflight", "addon/coredns"],
        "patches": {"directory": "/no/such/patches"},
        "timeouts": TIMEOUTS,
    },
    {
        "apiVersion": API,
        "kind": "ClusterConfiguration",
        "etcd": {
            "local": {
                "imageRepository": "etcd.example.com",
                "imageTag": "9.9.9-etcd",
                "dataDir": "/etcd-data",
                "extraArgs": [{"name": "etcd-flag", "value": "etcd-value"}],
                "extraEnvs": [{"name": "ETCD_ENV", "value": "etcd-env"}],
                "serverCertSANs": ["server.example.com"],
                "peerCertSANs": ["peer.example.com"],
            },
            "external": {
                "endpoints": ["https://10.9.9.9:2379"],
                "caFile": "/external/ca",
                "certFile": "/external/cert",
                "keyFile": "/external/key",
                "httpEndpoints": ["http://10.9.9.9:2381"],
            },
        },
        "networking": {"serviceSubnet": "172.21.0.0/16", "podSubnet": "172.22.0.0/16", "dnsDomain": "dns.example.com"},
        "kubernetesVersion": "v1.36.3",
        "controlPlaneEndpoint": "endpoint.example.com:7002",
        "apiServer": {**component("apiserver"), "certSANs": ["san.example.com"]},
        "controllerManager": component("manager"),
        "scheduler": component("scheduler"),
        "dns": {"imageRepository": "dns.example.com", "imageTag": "9.9.9-dns", "disabled": True},
        "proxy": {"disabled": True},
        "certificatesDir": "/other/pki",
        "imageRepository": "images.example.com",
        "featureGates": {"RootlessControlPlane": True, "NoSuchGate": True},
        "clusterName": "cluster-name",
        "encryptionAlgorithm": "RSA-4096",
        "certificateValidityPeriod": "1234h0m0s",
        "caCertificateValidityPeriod": "12345h0m0s",
    },
    {
        "apiVersion": API,
        "kind": "JoinConfiguration",
        "dryRun": True,
        "nodeRegistration": registration("second"),
        "caCertPath": "/other/ca.crt",
        "discovery": {
            "bootstrapToken": {
                "token": SECRET,
                "apiServerEndpoint": "join.example.com:7003",
                "caCertHashes": ["sha256:0011"],
                "unsafeSkipCAVerification": True,
            },
            "tlsBootstrapToken": SECRET,
        },
        "controlPlane": {
            "localAPIEndpoint": {"advertiseAddress": "10.0.0.12", "bindPort": 7004},
            "certificateKey": "e6a2eb8581237ab72a4f494f30285ec12a9694d750b9785706a83bfcbbbd2204",
        },
        "skipPhases": ["kubelet-start"],
        "patches": {"directory": "/no/such/join-patches"},
        "timeouts": {**TIMEOUTS, "discovery": "18m0s"},
    },
    {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "staticPodPath": "/other/pods",
        "authentication": {"x509": {"clientCAFile": "/other/ca"}},
        "containerRuntimeEndpoint": "unix:///run/kubelet.sock",
        "registerWithTaints": [{"key": "kubelet-taint", "effect": "NoSchedule"}],
        "maxPods": 91,
        "noSuchField": "unknown",
    },
    {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "hostnameOverride": "proxy-name",
        "clientConnection": {"kubeconfig": "/other/kubeconfig", "burst": 7},
        "mode": "nftables",
    },
    {"apiVersion": API, "kind": "ResetConfiguration", "force": True},
]


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(below, (*path, key))
    elif isinstance(value, list):
        for below in value:
            yield from leaves(below, path)
    else:
        yield path, value


LEAVES = [
    (document["kind"], path, value)
    for document in DOCUMENTS
    for path, value in leaves({key: below for key, below in document.items() if key not in ("apiVersion", "kind")})
    if document["kind"] != "ResetConfiguration"
]
SECRETS = ("token", "tlsBootstrapToken", "certificateKey")
COMPUTED = ("caCertHashes", "unsafeSkipCAVerification")
BECOMES = {"addon/coredns": "disabled: true"}


@pytest.fixture(scope="module")
def text() -> str:
    found = documents.parse([("kubeadm.yaml", yaml.safe_dump_all(DOCUMENTS, sort_keys=False))])
    return import_documents(found, name="", directory=Path(), origin="a test").text


def in_one_line(text: str) -> str:
    """Return the text without the line breaks of its comments."""
    return " ".join(line.strip().lstrip("# ") for line in text.splitlines())


@pytest.mark.parametrize(
    ("kind", "path", "value"), LEAVES, ids=lambda part: ".".join(part) if isinstance(part, tuple) else None
)
def test_a_leaf_is_in_the_file_or_named_in_a_comment(text, kind, path, value):
    if path[-1] in SECRETS:
        assert str(value) not in text
    wanted = path[-1] if path[-1] in (*SECRETS, *COMPUTED) else BECOMES.get(value, value)
    shown = yaml.safe_dump(wanted).split("\n...")[0].strip() if not isinstance(wanted, str) else wanted
    assert shown in in_one_line(text) or f"{path[-1]} is {wanted!r}" in in_one_line(text)
    if isinstance(value, bool):
        assert path[-1] in text


def test_a_document_of_another_kind_is_named(text):
    assert f"ResetConfiguration ({API}) is left out" in in_one_line(text)
