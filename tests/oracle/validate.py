"""Asks the real kubeadm which fields, feature gates and values it knows."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from kgen.config import components
from kgen.reader.kinds import Boolean, Choice, Integer, Number
from kgen.reader.objects import ListOf, MapOf, Object
from tests.oracle.kubeadm import NEWEST, program

API = "kubeadm.k8s.io/v1beta4"
MISSPELT = "maxPodz"


def answers(version: str) -> dict[str, Any]:
    """Return what the kubeadm of ``version`` says about the fields of components, and what it was asked."""
    documents = component_documents(version)
    unknown = re.findall(r'unknown field "(\w+)"', refusal(*documents))
    for name in unknown:
        documents[1].pop(name)
    return {
        "asked": component_documents(version),
        "unknownFields": sorted(unknown),
        "refusalWithoutThese": refusal(*documents),
        "featureGates": feature_gates(version),
        "knowsP384": not by_kubeadm({"encryptionAlgorithm": "ECDSA-P384"}, version),
    }


def component_documents(version: str) -> list[dict[str, Any]]:
    """Return documents with every field of components that kgen knows, and a misspelt one of the kubelet."""
    cluster = {"apiVersion": API, "kind": "ClusterConfiguration", "kubernetesVersion": version}
    kubelet = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
    proxy = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}
    fields = sample(components.KUBELET) | {MISSPELT: 1}
    return [cluster, kubelet | fields, proxy | sample(components.KUBE_PROXY)]


def sample(kind: Any) -> Any:
    """Return a value of a kind of field."""
    samples = {Boolean: True, Integer: 1, Number: 0.5}
    if isinstance(kind, Object):
        return {row.key: sample(row.kind) for row in kind.fields}
    if isinstance(kind, ListOf):
        return [sample(kind.item)]
    if isinstance(kind, MapOf):
        return {"a": sample(kind.value)}
    if isinstance(kind, Choice):
        return kind.values[-1]
    durations = components.DURATION, components.DURATION_TEXT, components.DURATION_OR_NANOSECONDS
    texts = dict.fromkeys(durations, "1m0s")
    texts |= {components.QUANTITY: "1", components.QUANTITY_TEXT: "1"}
    return texts.get(kind) or samples.get(type(kind), "x")


def feature_gates(version: str) -> list[str]:
    """Return the feature gates in the help of ``kubeadm init``."""
    text = _run(version, "init", "--help").stdout
    return sorted(line.split("=")[0].split()[-1] for line in text.splitlines() if "=true|false" in line)


def by_kubeadm(fields: dict[str, Any], version: str = NEWEST) -> str:
    """Return why kubeadm refuses a ClusterConfiguration with these fields; empty if it takes it."""
    return refusal({"apiVersion": API, "kind": "ClusterConfiguration", "kubernetesVersion": version, **fields})


def refusal(*documents: dict[str, Any]) -> str:
    """Return why kubeadm refuses the documents, the first of which has the version; empty if it takes them."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write("\n---\n".join(json.dumps(document) for document in documents))
        file.flush()
        done = _run(documents[0]["kubernetesVersion"], "config", "validate", "--config", file.name)
    return "" if done.returncode == 0 else done.stderr


def _run(version: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program(version), *arguments], capture_output=True, text=True, check=False)
