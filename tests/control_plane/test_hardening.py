"""A cluster with ``hardening: cis``, and a rotation of the keys of its encryption while a client writes."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.control_plane.conftest import HERE
from tests.control_plane.deployment import (
    DRY_RUN,
    ETCD_DATA,
    SUPER_ADMIN,
    Deployment,
    dry_run_join,
    join_command,
    kubectl,
)
from tests.control_plane.http_get import http_status
from tests.control_plane.machines import Bench, Machine, until
from tests.control_plane.test_apply import ADDRESS, applied, rendered_with
from tests.installed import kgen

PLAIN = "correct-horse-battery-staple"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "root"},
    "spec": {"containers": [{"name": "c", "image": "pause", "securityContext": {"privileged": True}}]},
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]) -> Iterator[Deployment]:
    """A master and a node with everything that a security team switches on."""

    def configure(cluster_file: Path) -> None:
        more = {
            "hardening": "cis",
            "hardeningExceptions": ["kernel-defaults"],  # a machine here has the host's kernel
            "manifests": [],  # their pod is in default, and not of the level baseline
        }
        cluster_file.write_text(yaml.safe_dump(yaml.safe_load(cluster_file.read_text()) | more))

    with Bench() as bench:
        source = HERE / "one.yaml"
        cluster = Deployment.render(source, tmp_path_factory.mktemp("guarded"), bench, machines, before=configure)
        cluster.first_boot(cluster.machine("m1", ADDRESS))
        cluster.first_boot(cluster.machine("w1", "10.71.0.21"))
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
    kubectl(m1, "create", "secret", "generic", "audited", f"--from-literal=p={PLAIN}")
    kubectl(m1, "create", "clusterrole", "audited", "--verb=get", "--resource=pods")

    def logged(name: str) -> dict[str, Any] | None:
        events = [json.loads(line) for line in log.read_text().splitlines()]
        found = [each for each in events if each["verb"] == "create" and each["objectRef"].get("name") == name]
        return found[-1] if found else None

    until("event", lambda: logged("audited"))
    text = log.read_text()
    events = [json.loads(line) for line in text.splitlines()]
    created = {
        each["objectRef"]["resource"]: each for each in events if each.get("objectRef", {}).get("name") == "audited"
    }
    assert (created["secrets"]["level"], created["clusterroles"]["level"]) == ("Metadata", "Request")
    assert base64.b64encode(PLAIN.encode()).decode() not in text
    assert PLAIN not in text
    assert {each["stage"] for each in events} <= {"ResponseComplete", "ResponseStarted", "Panic"}
    assert "leases" not in {each.get("objectRef", {}).get("resource") for each in events if each["verb"] == "update"}


def create(m1: Machine, body: dict[str, Any], *words: str) -> tuple[int, str]:
    """Return exit status and output of ``kubectl create``."""
    (m1.root / "tmp").mkdir(exist_ok=True)
    (m1.root / "tmp/object.yaml").write_text(yaml.safe_dump(body))
    command = ["kubectl", "--kubeconfig", f"/{SUPER_ADMIN}", "create", "-f", "/tmp/object.yaml", *words]
    return m1.run(command, chroot=True)


def test_a_privileged_pod_is_for_kube_system_only(m1: Machine) -> None:
    status, output = create(m1, POD)
    assert status != 0
    assert 'violates PodSecurity "baseline:latest"' in output
    status, output = create(m1, POD, "--namespace=kube-system", "--dry-run=server")
    assert status == 0, output


def test_a_service_takes_no_external_ip(m1: Machine) -> None:
    spec = {"externalIPs": ["10.71.0.99"], "ports": [{"port": 80}]}
    status, output = create(m1, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec})
    assert status != 0
    assert "externalIPs" in output


def test_anonymous_requests_reach_what_they_need_only(m1: Machine) -> None:
    paths = ("/livez", "/readyz", "/healthz", "/api/v1/namespaces/kube-public/configmaps/cluster-info")
    assert [http_status(m1, f"https://{ADDRESS}:6443{path}") for path in paths] == ["200"] * 4
    paths = ("/api", "/version", "/api/v1/namespaces/kube-public/configmaps", "/livez/etcd")
    assert [http_status(m1, f"https://{ADDRESS}:6443{path}") for path in paths] == ["401"] * 4


def test_stock_kubeadm_joins(guarded: Deployment) -> None:
    w2 = guarded.machine("w2", "10.71.0.22")
    assert "This node has joined the cluster" in dry_run_join(w2, *join_command(guarded))
    written = yaml.safe_load((w2.root / DRY_RUN.lstrip("/") / "config.yaml").read_text())
    assert written["seccompDefault"] is True
    assert "protectKernelDefaults" not in written


def test_no_component_shows_a_profile(m1: Machine) -> None:
    token = kubectl(m1, "create", "token", "-n", "kube-system", "clusterrole-aggregation-controller").strip()
    kubectl(
        m1,
        "create",
        "clusterrolebinding",
        "all",
        "--clusterrole=cluster-admin",
        "--serviceaccount=kube-system:clusterrole-aggregation-controller",
    )
    for host, port, works in (
        (ADDRESS, 6443, "/version"),
        ("127.0.0.1", 10257, "/metrics"),
        ("127.0.0.1", 10259, "/metrics"),
    ):
        url = f"https://{host}:{port}"
        assert http_status(m1, url + works, token=token) == "200"
        assert http_status(m1, f"{url}/debug/pprof/", token=token) == "404"


HANDSHAKE = """
import socket, ssl, sys
host, port, cipher, client = sys.argv[1:]
context = ssl._create_unverified_context()
context.maximum_version = ssl.TLSVersion.TLSv1_2
context.set_ciphers(cipher)
context.load_cert_chain(client + ".crt", client + ".key")
try:
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain) as wrapped:
        print(wrapped.cipher()[0])
except ssl.SSLError as error:
    print(error.reason)
"""


def test_components_take_strong_ciphers_only(m1: Machine) -> None:
    client = m1.root / "etc/kubernetes/pki/etcd/healthcheck-client"  # etcd wants one
    for port in ("6443", "2379", "2380", "10257", "10259"):
        host = "127.0.0.1" if port.startswith("10") else ADDRESS
        found = [
            m1.check([sys.executable, "-c", HANDSHAKE, host, port, cipher, client]).strip()
            for cipher in ("ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA", "ECDHE+AESGCM")
        ]
        assert found[0] == "SSLV3_ALERT_HANDSHAKE_FAILURE", port
        assert found[1] in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"), port
