"""Configuration files of kube-apiserver with a key of their own: file, argument and volume together."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kgen.config.load import load
from kgen.content import manifests
from kgen.content.kubeadm_config import cluster_configuration
from kgen.model import Cluster

BASE = """\
apiVersion: kgen/v1
name: c
kubernetesVersion: {version}
machines:
  - {{name: m1, role: master, address: 10.0.0.1}}
  - {{name: w1, role: node, address: 10.0.0.2}}
apiServer: {server}
"""
FILES = {
    "audit.yaml": "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n",
    "admission.yaml": "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins: []\n",
    "authentication.yaml": "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\n",
    "ca.crt": "-----BEGIN CERTIFICATE-----\n",
}


@pytest.fixture
def loaded(tmp_path: Path):
    def with_server(server: str, version: str = "v1.37.2") -> Cluster:
        for name, text in FILES.items():
            (tmp_path / name).write_text(text)
        (tmp_path / "c.yaml").write_text(BASE.format(server=server, version=version))
        return load(tmp_path / "c.yaml").cluster

    return with_server


def command(cluster: Cluster) -> list[str]:
    return pod(cluster)["spec"]["containers"][0]["command"]


def pod(cluster: Cluster) -> dict:
    row = next(row for row in manifests.STATIC_PODS if row.name == "kube-apiserver")
    return yaml.safe_load(manifests.manifest(row, cluster, cluster.masters[0]))


def test_each_key_brings_file_argument_and_volume(loaded):
    cluster = loaded(
        "{auditPolicyFile: audit.yaml, admissionControlConfigFile: admission.yaml,"
        " authenticationConfig: authentication.yaml}"
    )
    directory = "/etc/kubernetes/kube-apiserver"
    assert {
        f"--audit-policy-file={directory}/audit-policy.yaml",
        f"--admission-control-config-file={directory}/admission.yaml",
        f"--authentication-config={directory}/authentication.yaml",
        "--audit-log-path=/var/log/kubernetes/audit/audit.log",
        "--audit-log-maxage=30",
    } <= set(command(cluster))
    mounts = {each["mountPath"]: each for each in pod(cluster)["spec"]["containers"][0]["volumeMounts"]}
    assert mounts[directory]["readOnly"]
    assert not mounts["/var/log/kubernetes/audit"].get("readOnly")
    master, node = cluster.machines
    assert {str(file.path): (file.content, file.mode) for file in master.files} == {
        f"{directory}/audit-policy.yaml": (FILES["audit.yaml"], 0o600),
        f"{directory}/admission.yaml": (FILES["admission.yaml"], 0o600),
        f"{directory}/authentication.yaml": (FILES["authentication.yaml"], 0o600),
    }
    assert node.files == ()


def test_kubeadm_upgrade_finds_arguments_and_volumes_in_its_configuration(loaded):
    cluster = loaded("{auditPolicyFile: audit.yaml}")
    server = cluster_configuration(cluster)["apiServer"]
    assert "audit-policy-file" in [each["name"] for each in server["extraArgs"]]
    assert [each["name"] for each in server["extraVolumes"]] == ["apiserver-config", "audit-log"]


def test_an_argument_says_where_audit_events_go(loaded):
    cluster = loaded('{auditPolicyFile: audit.yaml, extraArgs: [{name: audit-log-path, value: "-"}]}')
    assert [each for each in command(cluster) if "audit-log" in each] == ["--audit-log-path=-"]
    assert "audit-log" not in [each["name"] for each in pod(cluster)["spec"]["volumes"]]


def test_flags_of_oidc_get_their_ca(loaded):
    cluster = loaded(
        '{oidcCAFile: ca.crt, extraArgs: [{name: oidc-issuer-url, value: "https://issuer.example.com"}, '
        "{name: oidc-client-id, value: kubernetes}]}"
    )
    assert "--oidc-ca-file=/etc/kubernetes/kube-apiserver/oidc-ca.crt" in command(cluster)


def test_encryption_names_a_file_that_the_bundle_fills(loaded):
    cluster = loaded("{encryption: {provider: secretbox}}")
    assert "--encryption-provider-config=/etc/kubernetes/kube-apiserver/encryption.yaml" in command(cluster)
    assert cluster.machines[0].files == ()


def test_without_these_keys_nothing_is_added(loaded):
    cluster = loaded("{}")
    assert cluster.api_server.extra_args == ()
    assert cluster.api_server.extra_volumes == ()
