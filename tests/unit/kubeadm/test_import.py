"""kubeadm's configuration → a cluster file, in which nothing is silently lost."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kgen.config.load import load_text
from kgen.errors import ProblemsError
from kgen.kubeadm import documents
from kgen.kubeadm.importing import Imported, Wanted, import_documents

INIT_DEFAULTS = """\
apiVersion: kubeadm.k8s.io/v1beta4
bootstrapTokens:
- groups:
  - system:bootstrappers:kubeadm:default-node-token
  token: abcdef.0123456789abcdef
  ttl: 24h0m0s
  usages:
  - signing
  - authentication
kind: InitConfiguration
localAPIEndpoint:
  advertiseAddress: 1.2.3.4
  bindPort: 6443
nodeRegistration:
  criSocket: unix:///var/run/containerd/containerd.sock
  imagePullPolicy: IfNotPresent
  imagePullSerial: true
  name: node
  taints: null
timeouts:
  controlPlaneComponentHealthCheck: 4m0s
  discovery: 5m0s
  etcdAPICall: 2m0s
  kubeletHealthCheck: 4m0s
  kubernetesAPICall: 1m0s
  tlsBootstrap: 5m0s
  upgradeManifests: 5m0s
---
apiServer: {}
apiVersion: kubeadm.k8s.io/v1beta4
caCertificateValidityPeriod: 87600h0m0s
certificateValidityPeriod: 8760h0m0s
certificatesDir: /etc/kubernetes/pki
clusterName: kubernetes
controllerManager: {}
dns: {}
encryptionAlgorithm: RSA-2048
etcd:
  local:
    dataDir: /var/lib/etcd
imageRepository: registry.k8s.io
kind: ClusterConfiguration
kubernetesVersion: 1.37.0
networking:
  dnsDomain: cluster.local
  serviceSubnet: 10.96.0.0/12
proxy: {}
scheduler: {}
"""
"""What `kubeadm config print init-defaults` of v1.37.2 prints."""

MASTER = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.0.0.11}
nodeRegistration: {name: m1}
---
"""


def imported(*texts: str, directory: Path = Path(), **options) -> Imported:
    found = documents.parse((f"{number}.yaml", text) for number, text in enumerate(texts, 1))
    return import_documents(found, name=options.pop("name", ""), directory=directory, origin="a test", **options)


def cluster(*texts: str, **options) -> dict:
    return yaml.safe_load(imported(*texts, **options).text)


def of(fields: str, version: str = "v1beta4", kind: str = "ClusterConfiguration") -> str:
    group = {"Kubelet": "kubelet.config.k8s.io/v1beta1", "KubeProx": "kubeproxy.config.k8s.io/v1alpha1"}
    api = next((group[key] for key in group if kind.startswith(key)), f"kubeadm.k8s.io/{version}")
    return f"apiVersion: {api}\nkind: {kind}\n{fields}\n"


CLUSTER = of("kubernetesVersion: v1.37.2")


def decided(result: Imported) -> list[str]:
    return [str(problem).partition("\n")[0] for problem in result.decisions]


def test_kubeadms_defaults_need_no_decision():
    result = imported(INIT_DEFAULTS)
    assert result.decisions == ()
    assert yaml.safe_load(result.text) == {
        "apiVersion": "kgen/v1",
        "name": "cluster",
        "kubernetesVersion": "v1.37.0",
        "clusterName": "kubernetes",
        "machines": [{"name": "node", "role": "master", "address": "1.2.3.4"}],
        "encryptionAlgorithm": "RSA-2048",
    }
    load_text(result.text, "cluster.yaml")


def test_a_secret_is_only_named():
    join = of(
        "discovery: {bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: 'api:6443'}}\n"
        "controlPlane: {certificateKey: e6a2eb8581237ab72a4f494f30285ec1}",
        kind="JoinConfiguration",
    )
    result = imported(
        INIT_DEFAULTS, of("certificateKey: e6a2eb8581237ab72a4f494f30285ec1", kind="InitConfiguration"), join
    )
    assert "0123456789abcdef" not in result.text
    assert "e6a2eb" not in result.text + str(result.notes) + str(result.decisions)
    named = [problem.message for problem in result.notes]
    assert [message for message in named if "token" in message and "left out" in message]
    assert "certificateKey, a secret, is left out" in named


def test_a_silent_configuration_gets_kubeadms_defaults_where_kgens_differ():
    result = cluster(MASTER + CLUSTER)
    assert result["encryptionAlgorithm"] == "RSA-2048"
    assert result["clusterName"] == "kubernetes"


def test_arguments_of_v1beta3_become_a_sorted_list():
    result = cluster(
        MASTER.replace("v1beta4", "v1beta3").replace(
            "{name: m1}", "{name: m1, kubeletExtraArgs: {v: '4', max-pods: '90'}}"
        )
        + of(
            "kubernetesVersion: v1.33.13\n"
            "apiServer: {timeoutForControlPlane: 6m0s, extraArgs: {profiling: 'false', audit-log-maxage: '30'}}\n"
            "etcd: {local: {extraArgs: {quota-backend-bytes: '8589934592'}}}",
            "v1beta3",
        )
    )
    assert result["apiServer"] == {
        "extraArgs": [{"name": "audit-log-maxage", "value": "30"}, {"name": "profiling", "value": "false"}]
    }
    assert result["etcd"]["local"]["extraArgs"] == [{"name": "quota-backend-bytes", "value": "8589934592"}]
    assert result["machines"][0]["nodeRegistration"]["kubeletExtraArgs"] == [
        {"name": "max-pods", "value": "90"},
        {"name": "v", "value": "4"},
    ]
    assert result["timeouts"] == {"controlPlaneComponentHealthCheck": "6m0s"}


def test_the_gate_for_ecdsa_becomes_the_algorithm():
    result = imported(MASTER + of("kubernetesVersion: v1.33.13\nfeatureGates: {PublicKeysECDSA: true}", "v1beta3"))
    assert "encryptionAlgorithm: ECDSA-P256\n" in result.text
    assert result.decisions == ()


def test_every_machine_of_several_files_is_listed_once():
    join = "controlPlane: {localAPIEndpoint: {advertiseAddress: 10.0.0.%s}}\nnodeRegistration: {name: m%s}"
    arguments = "[{name: node-ip, value: 10.0.0.21}, {name: node-labels, value: 'rack=r7,a='}]"
    node = f"nodeRegistration: {{name: w1, kubeletExtraArgs: {arguments}}}"
    result = cluster(
        MASTER + CLUSTER + "controlPlaneEndpoint: api.example.com\n",
        of(join % (12, 2), kind="JoinConfiguration"),
        of(join % (13, 3), kind="JoinConfiguration"),
        of(join % (11, 1), kind="JoinConfiguration"),
        of(node, kind="JoinConfiguration"),
        of("nodeRegistration: {taints: [{key: a, effect: NoSchedule}]}", kind="JoinConfiguration"),
    )
    assert result["machines"] == [
        {"name": "m1", "role": "master", "address": "10.0.0.11"},
        {"name": "m2", "role": "master", "address": "10.0.0.12"},
        {"name": "m3", "role": "master", "address": "10.0.0.13"},
        {"name": "w1", "role": "node", "address": "10.0.0.21", "labels": {"rack": "r7", "a": ""}},
    ]
    assert result["pools"] == [{"name": "nodes", "role": "node", "taints": [{"key": "a", "effect": "NoSchedule"}]}]


def test_a_family_for_the_address_stays_an_argument_and_a_template_names_what_to_write():
    arguments = "[{name: node-ip, value: '::'}, {name: provider-id, value: 'aws:///{{ ds.meta_data.instance_id }}'}]"
    result = imported(
        MASTER + CLUSTER, of(f"nodeRegistration: {{kubeletExtraArgs: {arguments}}}", kind="JoinConfiguration")
    )
    pool = yaml.safe_load(result.text)["pools"][0]
    assert pool["nodeRegistration"]["kubeletExtraArgs"] == [{"name": "node-ip", "value": "::"}]
    (decision,) = result.decisions
    assert decision.hint == "write {metadata: ds.meta_data.instance_id}"


def test_the_command_line_names_the_machines_that_the_files_do_not():
    machines = [Wanted("master", "a", "10.0.0.1"), Wanted("node", "w1", ""), Wanted("master", "b", "10.0.0.2")]
    result = cluster(of("", kind="InitConfiguration"), CLUSTER, machines=machines)
    assert result["machines"] == [
        {"name": "a", "role": "master", "address": "10.0.0.1"},
        {"name": "w1", "role": "node"},
        {"name": "b", "role": "master", "address": "10.0.0.2"},
    ]


def test_what_kubeadm_finds_out_on_the_machine_is_a_decision():
    result = imported(of("networking: {podSubnet: 10.244.0.0/16}"))
    assert decided(result) == [
        "1.yaml:1:1: kubernetesVersion: kubeadm would take the newest stable release [I901]",
        "1.yaml:1:1: machines[0]: kubeadm takes the machine's own hostname for its name [I901]",
        "1.yaml:1:1: machines[0]: kubeadm takes the address of the machine's default route [I901]",
    ]
    assert result.text.startswith("# Imported from a test. 3 things need a decision: search for DECIDE.\n")
    with pytest.raises(ProblemsError, match="K316"):
        load_text(result.text, "cluster.yaml")


@pytest.mark.parametrize("version", ["stable-1.37", "latest", "v1.37", "ci/latest"])
def test_a_version_that_is_a_label_is_a_decision(version):
    result = imported(MASTER + of(f"kubernetesVersion: {version}"))
    assert len(result.decisions) == 1
    assert version in result.decisions[0].message


@pytest.mark.parametrize(
    ("fields", "kind", "decision"),
    [
        ("apiServer: {extraArgs: [{name: tls-cert-file, value: /x}]}", "ClusterConfiguration", "tls-cert-file"),
        ("networkin: {podSubnet: 10.0.0.0/8}", "ClusterConfiguration", "networkin"),
        ("networking: {podSubnet: 10.96.0.0/16}", "ClusterConfiguration", "10.96.0.0"),
        ("certificatesDir: /etc/pki", "ClusterConfiguration", "certificatesDir"),
        ("featureGates: {EtcdLearnerMode: true}", "ClusterConfiguration", "EtcdLearnerMode"),
        ("maxPodz: 5", "KubeletConfiguration", "maxPodz"),
        ("staticPodPath: /pods", "KubeletConfiguration", "staticPodPath"),
        ("mode: ipv5", "KubeProxyConfiguration", "ipv5"),
    ],
)
def test_what_a_cluster_file_cannot_say_is_commented_out(fields, kind, decision):
    result = imported(MASTER + (CLUSTER + "---\n" + of(fields, kind=kind) if kind[:4] == "Kube" else CLUSTER + fields))
    (found,) = result.decisions
    assert (found.file, found.line > 5) == ("1.yaml", True)
    assert decision in str(found)
    leaf = yaml.safe_load(fields)
    while isinstance(leaf, dict | list):
        leaf = list(leaf.values())[-1] if isinstance(leaf, dict) else leaf[-1]
    line = next(
        line for line in result.text.splitlines() if yaml.safe_dump(leaf).split()[0] in line and "DECIDE" not in line
    )
    assert line.lstrip().startswith("#")
    load_text(result.text, "cluster.yaml")


def test_two_wrong_entries_of_a_list_leave_its_other_entries():
    names = ["nope", "profiling", "nada", "enable-priority-and-fairness"]
    arguments = ", ".join(f"{{name: {name}, value: 'false'}}" for name in names)
    result = imported(MASTER + CLUSTER + f"apiServer: {{extraArgs: [{arguments}]}}")
    assert [name for name in names if f"no argument {name}:" in " ".join(decided(result))] == ["nope", "nada"]
    written = yaml.safe_load(result.text)["apiServer"]["extraArgs"]
    assert [argument["name"] for argument in written] == ["profiling", "enable-priority-and-fairness"]


def test_two_problems_of_one_field_leave_the_fields_beside_it():
    fields = "maxPods: 50\nshutdownGracePeriodCriticalPods: 1ms"
    result = imported(MASTER + CLUSTER, of(fields, kind="KubeletConfiguration"))
    assert [line.partition(":")[0] for line in decided(result)] == ["2.yaml"] * 2
    assert yaml.safe_load(result.text)["kubelet"] == {"maxPods": 50}


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("networking: {podSubnet: 10.244.1.0/16}", {"networking": {"podSubnet": "10.244.0.0/16"}}),
        ("apiServer: {certSANs: [API.Example.com]}", {"apiServer": {"certSANs": ["api.example.com"]}}),
        ("etcd: {local: {dataDir: /data//etcd/}}", {"etcd": {"local": {"dataDir": "/data/etcd"}}}),
        ("certificateValidityPeriod: 8760h", {}),
        ("dns: {imageTag: ''}", {}),
    ],
)
def test_another_spelling_of_the_same_is_brought_into_kgens(given, written):
    result = imported(MASTER + CLUSTER + given)
    assert result.decisions == ()
    assert yaml.safe_load(result.text).items() >= written.items()
    assert set(yaml.safe_load(result.text)) == {*yaml.safe_load(imported(MASTER + CLUSTER).text), *written}


def test_labels_of_several_arguments_are_one_mapping():
    texts = ["a=1,b=2", "c=3,a=4"]
    arguments = ", ".join(f"{{name: node-labels, value: '{text}'}}" for text in texts)
    result = imported(MASTER.replace("{name: m1}", f"{{name: m1, kubeletExtraArgs: [{arguments}]}}") + CLUSTER)
    assert result.decisions == ()
    assert yaml.safe_load(result.text)["machines"][0]["labels"] == {"a": "4", "b": "2", "c": "3"}


def test_skipped_add_ons_are_disabled():
    result = cluster(MASTER.replace("---", "skipPhases: [addon/kube-proxy]\n---") + CLUSTER)
    assert result["proxy"] == {"disabled": True}
    assert "skipPhases" not in result


def test_component_configuration_is_kept_without_the_fields_that_kgen_sets():
    kubelet = of(
        "staticPodPath: /etc/kubernetes/manifests\ncgroupDriver: systemd\nclusterDNS: [10.96.0.10]\n"
        "authentication: {x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}, anonymous: {enabled: false}}",
        kind="KubeletConfiguration",
    )
    result = cluster(MASTER + CLUSTER, kubelet, of("mode: nftables", kind="KubeProxyConfiguration"))
    assert result["kubelet"] == {
        "cgroupDriver": "systemd",
        "clusterDNS": ["10.96.0.10"],
    }
    assert result["kubeProxy"] == {"mode": "nftables"}


def test_a_component_configuration_that_says_nothing_counts_as_given():
    """kubeadm replaces a generated configuration on upgrades, but never a given one."""
    result = cluster(
        MASTER + CLUSTER, of("syncFrequency: 0s", kind="KubeletConfiguration"), of("", kind="KubeProxyConfiguration")
    )
    assert result["kubelet"] == {"cgroupDriver": "systemd"}
    assert result["kubeProxy"] == {"enableProfiling": False}


def test_patches_beside_the_configuration_are_found_from_the_cluster_file(tmp_path):
    (tmp_path / "old/patches").mkdir(parents=True)
    (tmp_path / "old/patches/etcd.yaml").write_text("metadata: {labels: {a: b}}")
    (tmp_path / "new").mkdir()
    text = MASTER.replace("---", "patches: {directory: patches}\n---") + CLUSTER
    found = documents.parse([(str(tmp_path / "old/kubeadm.yaml"), text)])
    result = import_documents(found, name="", directory=tmp_path / "new", origin="")
    assert "directory: ../old/patches\n" in result.text
    assert result.decisions == ()


def test_a_machine_may_have_patches_of_its_own(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kubeletconfiguration.yaml").write_text("maxPods: 9")
    join = "nodeRegistration: {name: %s}\npatches: {directory: %s}"
    texts = [
        MASTER.replace("---", "patches: {directory: a}\n---") + CLUSTER,
        of(join % ("w1", "a"), kind="JoinConfiguration"),
        of(join % ("w2", "b"), kind="JoinConfiguration"),
    ]
    found = documents.parse((str(tmp_path / f"{number}.yaml"), text) for number, text in enumerate(texts))
    result = yaml.safe_load(import_documents(found, name="", directory=tmp_path, origin="").text)
    assert result["patches"] == {"directory": "a"}
    assert [machine.get("patches") for machine in result["machines"]] == [None, None, {"directory": "b"}]


@pytest.mark.parametrize(
    ("texts", "place", "message"),
    [
        (["a: [\n"], "1.yaml:1:5", "not YAML"),
        ([MASTER + of("", "v1beta2")], "1.yaml:6:1", "v1beta2 is not read"),
        ([of("", "v1")], "1.yaml:1:1", "kubeadm.k8s.io/v1 is not read"),
        ([MASTER + CLUSTER, of("kubernetesVersion: v1.36.3")], "2.yaml:1:1", "a second ClusterConfiguration"),
        (["a: b"], "1.yaml", "has no configuration of kubeadm"),
        ([MASTER + CLUSTER + "apiServer: {extraArgs: {v: '2'}}"], "1.yaml:9:13", "must be a list"),
        ([MASTER + CLUSTER + "apiServer: {extraArgs: [{name: v, value: 2}]}"], "1.yaml:9:35", "is a number to YAML"),
    ],
)
def test_an_unusable_configuration_is_refused_with_its_place(texts, place, message):
    with pytest.raises(ProblemsError) as caught:
        imported(*texts)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{place}:")
    assert message in problem.message


def test_a_text_that_looks_like_another_type_stays_a_text():
    variables = ", ".join(f"{{name: A{number}, value: '{text}'}}" for number, text in enumerate(ODD))
    result = cluster(MASTER + CLUSTER + f"scheduler: {{extraEnvs: [{variables}]}}")
    assert [entry["value"] for entry in result["scheduler"]["extraEnvs"]] == ODD


ODD = ["on", "1:30", "0755", "1e3", "~", "- a", "a: b", "x #y", "{a}", "*a", "2026-01-01", "true", "é", "a:"]
