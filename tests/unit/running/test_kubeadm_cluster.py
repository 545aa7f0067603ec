"""A running cluster that kubeadm made → kubeadm's documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.running.stand_in import node

from kgen.content.component_config import config_map
from kgen.errors import InputError
from kgen.kubeadm import documents
from kgen.kubeadm.importing import import_documents
from kgen.running.connection import RefusedError, from_kubeconfig
from kgen.running.kubeadm_cluster import read
from kgen.running.servers import Server

CLUSTER = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.37.2\n"
KUBELET = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 90\n"
MASTER = {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/hostname": "m1", "rack": "r7"}
TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


class Cluster:
    """Answers of an API server, by the name of the client's method."""

    server = Server("https://api.example.com:6443")

    def __init__(
        self, *, generated: bool = False, nodes: list[dict[str, Any]], pods: list[dict[str, Any]] = ()
    ) -> None:
        self.config_maps = {
            "kubeadm-config": {"metadata": {}, "data": {"ClusterConfiguration": CLUSTER}},
            "kubelet-config": config_map("kubelet-config", {"kubelet": KUBELET}, generated=generated, labels={}),
        }
        self.lists = {"list_node": nodes, "list_namespaced_pod": list(pods)}

    def call(self, method: str, name: str, namespace: str) -> dict[str, Any]:
        assert (method, namespace) == ("read_namespaced_config_map", "kube-system")
        if name not in self.config_maps:
            raise RefusedError(self.server, 404, "{}")
        return self.config_maps[name]

    def items(self, method: str, *arguments: str, **options: str) -> list[dict[str, Any]]:
        return self.lists[method]


def machine(name: str, address: str, *taints: dict[str, str], **labels: str) -> dict[str, Any]:
    found = {**node(name, **labels), "spec": {"taints": list(taints)}}
    found["status"]["addresses"][0]["address"] = address
    return found


def with_addresses(found: dict[str, Any], *addresses: str) -> dict[str, Any]:
    found["status"]["addresses"] = [{"type": "InternalIP", "address": each} for each in addresses]
    return found


def imported(cluster: Cluster) -> dict[str, Any]:
    result = import_documents(documents.parse(read(cluster)), name="c", directory=Path(), origin="")
    assert result.decisions == ()
    return yaml.safe_load(result.text)


def test_machines_come_from_the_nodes():
    pod = {
        "metadata": {
            "annotations": {"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": "10.0.1.1:7443"}
        },
        "spec": {"nodeName": "m1"},
    }
    not_ready = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    own = {"key": "dedicated", "value": "x", "effect": "NoExecute"}
    nodes = [machine("w1", "10.0.0.21", not_ready, own, a=""), machine("m1", "10.0.1.1", TAINT, not_ready, **MASTER)]
    result = imported(Cluster(nodes=nodes, pods=[pod]))
    assert result["machines"] == [
        {"name": "m1", "role": "master", "address": "10.0.1.1", "labels": {"rack": "r7"}},
        {"name": "w1", "role": "node", "address": "10.0.0.21", "labels": {"a": ""}, "taints": [own]},
    ]
    assert result["localAPIEndpoint"] == {"bindPort": 7443}


def test_a_master_without_the_taint_stays_without():
    result = imported(Cluster(nodes=[machine("m1", "10.0.0.11", **MASTER)]))
    assert result["machines"][0]["taints"] == []


@pytest.mark.parametrize(("generated", "written"), [(True, False), (False, True)])
def test_a_configuration_that_kubeadm_generated_is_left_to_it(generated, written):
    result = imported(Cluster(generated=generated, nodes=[machine("m1", "10.0.0.11", **MASTER)]))
    assert ("kubelet" in result) == written


def test_cri_o_is_recognized():
    found = machine("m1", "10.0.0.11", TAINT, **MASTER)
    found["status"]["nodeInfo"]["containerRuntimeVersion"] = "cri-o://1.37.0"
    ((_, _), (_, _), (_, text)) = read(Cluster(nodes=[found]))
    assert json.loads(text)["nodeRegistration"]["criSocket"] == "unix:///var/run/crio/crio.sock"


def test_a_cluster_of_something_else_is_refused():
    cluster = Cluster(nodes=[])
    del cluster.config_maps["kubeadm-config"]
    with pytest.raises(InputError, match="kubeadm has not made this cluster"):
        read(cluster)


def test_a_missing_kubeconfig_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="no kubeconfig can be used"):
        from_kubeconfig(tmp_path / "none.conf", "")


def test_a_node_keeps_its_first_address_of_each_family():
    nodes = [
        with_addresses(machine("m1", "", TAINT, **MASTER), "10.0.0.11", "10.1.0.11", "fd00::11", "fd01::11"),
        with_addresses(machine("w1", ""), "10.0.0.21", "10.1.0.21"),
    ]
    found = {each["name"]: each["address"] for each in imported(Cluster(nodes=nodes))["machines"]}
    assert found == {"m1": ["10.0.0.11", "fd00::11"], "w1": "10.0.0.21"}
