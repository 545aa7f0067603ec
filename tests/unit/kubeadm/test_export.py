"""A cluster → kubeadm's configuration, and back again without loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kgen.config.load import load_text
from kgen.kubeadm import documents
from kgen.kubeadm.exporting import Secrets, export
from kgen.kubeadm.importing import import_documents

CLUSTER = """\
apiVersion: kgen/v1
name: prod
kubernetesVersion: v1.35.4
controlPlaneEndpoint: api.example.com
networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 172.20.0.0/16, dnsDomain: prod.example.com}
apiServer:
  certSANs: [api.example.com, 192.0.2.7]
  extraArgs: [{name: v, value: "2"}, {name: v, value: "4"}]
  extraVolumes: [{name: a, hostPath: /a, mountPath: /a, readOnly: true}]
  extraEnvs: [{name: GOGC, value: "50"}]
etcd: {local: {dataDir: /data/etcd, serverCertSANs: [etcd.example.com]}}
dns: {disabled: true}
bootstrapTokens:
  - {ttl: 2h, description: for nodes}
  - {ttl: 0s, usages: [authentication], groups: ["system:bootstrappers:a"]}
nodeRegistration:
  criSocket: unix:///run/other.sock
  ignorePreflightErrors: [Mem]
  kubeletExtraArgs: [{name: v, value: "2"}]
timeouts: {controlPlaneComponentHealthCheck: 5m}
localAPIEndpoint: {bindPort: 7443}
kubelet: {maxPods: 200, syncFrequency: 0s, clusterDNS: [172.20.0.10]}
kubeProxy: {mode: nftables}
machines:
  - {name: m1, role: master, address: 10.0.0.11, labels: {a: b, c: ""}}
  - {name: m2, role: master, address: 10.0.0.12, localAPIEndpoint: {bindPort: 6443}}
  - {name: m3, role: master, address: 10.0.0.13, taints: []}
  - {name: w1, role: node, address: 10.0.0.21, taints: [{key: a, value: b, effect: NoExecute}]}
pools: [{name: nodes, role: node, nodeRegistration: {kubeletExtraArgs: [{name: v, value: "9"}]}}]
"""
SECRETS = Secrets(("first0.0123456789abcdef", "second.0123456789abcdef"), "sha256:" + "0" * 64)


def exported(text: str) -> dict[str, str]:
    cluster = load_text(text, "cluster.yaml").cluster
    return {machine.name: export(cluster, machine, SECRETS) for machine in cluster.documents}


def test_what_was_exported_imports_to_the_same_export():
    first = exported(CLUSTER)
    imported = import_documents(documents.parse(first.items()), name="", directory=Path(), origin="")
    assert imported.decisions == ()
    assert exported(imported.text) == first
    assert imported.name == "prod"


def test_a_masters_file_serves_init_and_join():
    found = {document["kind"]: document for document in yaml.safe_load_all(exported(CLUSTER)["m2"])}
    assert list(found) == [
        "InitConfiguration",
        "ClusterConfiguration",
        "KubeletConfiguration",
        "KubeProxyConfiguration",
        "JoinConfiguration",
    ]
    endpoint = {"advertiseAddress": "10.0.0.12", "bindPort": 6443}
    assert found["InitConfiguration"]["localAPIEndpoint"] == endpoint
    assert found["JoinConfiguration"]["controlPlane"] == {"localAPIEndpoint": endpoint}
    assert found["JoinConfiguration"]["discovery"]["bootstrapToken"] == {
        "apiServerEndpoint": "api.example.com:7443",
        "token": SECRETS.tokens[0],
        "caCertHashes": [SECRETS.ca_cert_hash],
    }
    assert [token["token"] for token in found["InitConfiguration"]["bootstrapTokens"]] == list(SECRETS.tokens)


def test_a_pool_joins_under_the_name_that_kubeadm_finds():
    (join,) = yaml.safe_load_all(exported(CLUSTER)["nodes"])
    assert "name" not in join["nodeRegistration"]


@pytest.mark.parametrize(
    ("addition", "named"),
    [
        ("users: [default]\n", "users"),
        ("httpProxy: {httpProxy: 'http://proxy:3128'}\n", "httpProxy"),
        ("image: {runner: baked}\n", "runner"),
        ("pki: {keepSuperAdmin: false}\n", "pki"),
        ("files: [{path: /etc/a, content: b}]\n", "files"),
        ("ntp: {servers: [a.example.com]}\n", "ntp"),
    ],
)
def test_what_kubeadm_cannot_say_is_named(addition, named):
    assert "no field for" not in exported(CLUSTER)["m1"]
    text = CLUSTER.replace("  criSocket: unix:///run/other.sock\n", "")  # some additions take only containerd
    assert f"# kubeadm has no field for: {named}.\n" in exported(text + addition)["m1"]


def test_a_label_that_a_kubelet_may_not_set_is_named_and_not_passed():
    text = exported(
        CLUSTER.replace("address: 10.0.0.21", "address: 10.0.0.21, labels: {node-role.kubernetes.io/x: z}")
    )["w1"]
    assert "the label node-role.kubernetes.io/x" in text.partition("\napiVersion")[0]
    assert "node-labels" not in text


def test_what_only_the_machine_knows_is_named_and_not_passed():
    text = exported(
        CLUSTER.replace(
            "{name: nodes, role: node,", "{name: nodes, role: node, labels: {a: b, z: {metadata: v1.zone}},"
        ).replace('[{name: v, value: "9"}]', "[{name: node-ip, value: {network: 10.0.0.0/8}}, {name: v, value: '9'}]")
    )["nodes"]
    head, _, rest = text.partition("\napiVersion")
    assert "node-ip={network: 10.0.0.0/8}" in head.replace("\n# ", " ")
    assert "the label z={metadata: v1.zone}" in head.replace("\n# ", " ")
    (join,) = yaml.safe_load_all("apiVersion" + rest)
    assert {each["name"]: each["value"] for each in join["nodeRegistration"]["kubeletExtraArgs"]} == {
        "node-labels": "a=b",
        "v": "9",
    }


def test_an_external_etcd_has_the_files_of_the_masters():
    etcd = '{external: {endpoints: ["https://10.0.0.31:2379"], caFile: ca.crt, certFile: c.crt, keyFile: c.key}}'
    text = CLUSTER.replace("{local: {dataDir: /data/etcd, serverCertSANs: [etcd.example.com]}}", etcd)
    first = exported(text)
    (configuration,) = [each for each in yaml.safe_load_all(first["m1"]) if each["kind"] == "ClusterConfiguration"]
    pki = "/etc/kubernetes/pki/"
    assert configuration["etcd"]["external"] == {
        "endpoints": ["https://10.0.0.31:2379"],
        "httpEndpoints": ["https://10.0.0.31:2379"],
        "caFile": pki + "etcd/ca.crt",
        "certFile": pki + "apiserver-etcd-client.crt",
        "keyFile": pki + "apiserver-etcd-client.key",
    }
    imported = import_documents(documents.parse(first.items()), name="", directory=Path(), origin="")
    assert imported.decisions == ()
    notes = [note for note in imported.notes if note.field.startswith("etcd.external")]
    assert [note.field for note in notes] == [f"etcd.external.{key}" for key in ("caFile", "certFile", "keyFile")]
    assert notes[0].message == f"{pki}etcd/ca.crt is a file of the masters"
    assert exported(imported.text) == first


def test_an_external_etcd_without_certificates_stays_so():
    text = CLUSTER.replace(
        "{local: {dataDir: /data/etcd, serverCertSANs: [etcd.example.com]}}", '{external: {endpoints: ["http://a:1"]}}'
    )
    first = exported(text)
    imported = import_documents(documents.parse(first.items()), name="", directory=Path(), origin="")
    assert imported.decisions == ()
    assert yaml.safe_load(imported.text)["etcd"] == {"external": {"endpoints": ["http://a:1"]}}
    assert exported(imported.text) == first
