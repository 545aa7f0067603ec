"""Encryption at rest, in etcd's own data, and a rotation of its keys while a client writes; audit and admission."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.control_plane.conftest import HERE
from tests.control_plane.deployment import ETCD_DATA, SUPER_ADMIN, Deployment, kgen, kubectl
from tests.control_plane.http_get import http_status
from tests.control_plane.machines import Bench, Machine, until
from tests.control_plane.test_apply import ADDRESS, applied, rendered_with

PLAIN = "correct-horse-battery-staple"
FILES = {
    "audit.yaml": {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]},
    "admission.yaml": {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [
            {
                "name": "PodSecurity",
                "configuration": {
                    "apiVersion": "pod-security.admission.config.k8s.io/v1",
                    "kind": "PodSecurityConfiguration",
                    "defaults": {"enforce": "restricted", "enforce-version": "latest"},
                    "exemptions": {"namespaces": ["kube-system"]},
                },
            }
        ],
    },
    "authentication.yaml": {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "anonymous": {
            "enabled": True,
            "conditions": [
                {"path": path}
                for path in (
                    "/livez",
                    "/readyz",
                    "/healthz",
                    "/api/v1/namespaces/kube-public/configmaps/cluster-info",
                )
            ],
        },
    },
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "root"},
    "spec": {"containers": [{"name": "c", "image": "pause", "securityContext": {"privileged": True}}]},
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]) -> Iterator[Deployment]:
    """A lone master with everything that a security team switches on at the API server."""

    def configure(cluster_file: Path) -> None:
        for name, content in FILES.items():
            (cluster_file.parent / name).write_text(yaml.safe_dump(content))
        server = {
            "encryption": {"provider": "secretbox"},
            "auditPolicyFile": "audit.yaml",
            "admissionControlConfigFile": "admission.yaml",
            "authenticationConfig": "authentication.yaml",
        }
        # without the pod of its manifests, which the admission configuration refuses
        described = yaml.safe_load(cluster_file.read_text()) | {"apiServer": server, "manifests": []}
        cluster_file.write_text(yaml.safe_dump(described))

    with Bench() as bench:
        source = HERE / "one.yaml"
        cluster = Deployment.render(source, tmp_path_factory.mktemp("guarded"), bench, machines, before=configure)
        cluster.first_boot(cluster.machine("m1", ADDRESS))
        yield cluster


@pytest.fixture(scope="module")
def m1(guarded: Deployment) -> Machine:
    """The only master."""
    return guarded.machines["m1"]


def stored(m1: Machine, name: str) -> str:
    """Return what etcd holds of a Secret."""
    pki = "/etc/kubernetes/pki/etcd"
    words = [f"--cacert={pki}/ca.crt", f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key"]
    command = ["etcdctl", f"--endpoints=https://{ADDRESS}:2379", *words, "get", f"/registry/secrets/default/{name}"]
    return m1.check([*command, "-w", "json"], chroot=True)


def prefix(m1: Machine, name: str) -> str:
    """Return the provider and key with which etcd's value of a Secret begins."""
    value = base64.b64decode(json.loads(stored(m1, name))["kvs"][0]["value"])
    return b":".join(value.split(b":")[:5]).decode()


def test_a_secret_is_encrypted_in_etcds_own_data(m1: Machine) -> None:
    kubectl(m1, "create", "secret", "generic", "one", f"--from-literal=p={PLAIN}")
    kubectl(m1, "create", "configmap", "open", f"--from-literal=p=not-{PLAIN[::-1]}")
    assert prefix(m1, "one") == "k8s:enc:secretbox:v1:key1"
    data = b"".join(path.read_bytes() for path in sorted((m1.root / ETCD_DATA).rglob("*")) if path.is_file())
    assert f"not-{PLAIN[::-1]}".encode() in data
    assert PLAIN.encode() not in data
    assert PLAIN in kubectl(m1, "get", "secret", "one", "-o", "go-template={{.data.p | base64decode}}")


def test_keys_are_rotated_while_a_client_writes(guarded: Deployment, m1: Machine) -> None:
    script = (
        f"n=0; while [ ! -e {m1.root}/tmp/stop ]; do "
        f"kubectl --kubeconfig {m1.root}/{SUPER_ADMIN} create secret generic written-$n --from-literal=p=$n "
        ">/dev/null 2>&1 && echo $n && n=$((n+1)); done"
    )
    (m1.root / "tmp").mkdir(exist_ok=True)
    writer = m1.start(["sh", "-c", script])
    resources = ["get", "secrets", "--all-namespaces", "-o", "json"]
    for rewritten in (False, False, True):
        if rewritten:
            (m1.root / "tmp/all.json").write_text(kubectl(m1, *resources))
            kubectl(m1, "replace", "-f", "/tmp/all.json")
        kgen("encryption", "rotate", guarded.cluster_file, *(["--rewritten"] if rewritten else []))
        rendered_with(guarded)
        applied(guarded, m1)
    (m1.root / "tmp/stop").touch()
    status, output = writer.wait(60)
    assert status == 0
    numbers = [int(line) for line in output.split()]
    assert numbers, "the client wrote nothing"
    names = kubectl(m1, "get", "secrets", "-o", "name").split()
    assert {f"secret/written-{number}" for number in numbers} <= set(names)
    for name in ("one", "written-0", f"written-{numbers[-1]}"):
        assert prefix(m1, name) == "k8s:enc:secretbox:v1:key2"
    assert PLAIN in kubectl(m1, "get", "secret", "one", "-o", "go-template={{.data.p | base64decode}}")


def test_requests_are_in_the_audit_log(m1: Machine) -> None:
    log = m1.root / "var/log/kubernetes/audit/audit.log"
    kubectl(m1, "get", "configmap", "kube-root-ca.crt")

    def is_logged() -> bool:
        events = [json.loads(line) for line in log.read_text().splitlines()]
        return any(event.get("objectRef", {}).get("name") == "kube-root-ca.crt" for event in events)

    until("event", is_logged)


def test_the_admission_configuration_counts(m1: Machine) -> None:
    (m1.root / "tmp/pod.yaml").write_text(yaml.safe_dump(POD))
    command = ["kubectl", "--kubeconfig", "/etc/kubernetes/super-admin.conf", "create", "-f", "/tmp/pod.yaml"]
    status, output = m1.run(command, chroot=True)
    assert status != 0
    assert 'violates PodSecurity "restricted:latest"' in output


def test_anonymous_requests_reach_what_they_need_only(m1: Machine) -> None:
    paths = ("/livez", "/readyz", "/api/v1/namespaces/kube-public/configmaps/cluster-info", "/version")
    assert [http_status(m1, f"https://{ADDRESS}:6443{path}") for path in paths] == ["200", "200", "200", "401"]
