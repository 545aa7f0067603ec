"""One master and one node at rest, judged by the real clients."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import sys
from typing import Any

import pytest
import yaml
from cryptography import x509

from tests.control_plane import deployment, objects, tree
from tests.control_plane.deployment import Deployment, api
from tests.control_plane.http_get import http_status
from tests.control_plane.machines import Machine, until

NODE_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"


def test_the_runner_reports_done(m1: Machine, w1: Machine) -> None:
    for machine in (m1, w1):
        command = [sys.executable, "-I", "-S", machine.root / deployment.RUNNER, "--root", machine.root, "--status"]
        *steps, last = machine.check(command).splitlines()
        assert last == "done"
        assert {"preflight", "files", "system"} < {line.split()[0] for line in steps}
        assert (machine.root / deployment.DONE).exists()
        assert not (machine.root / "etc/kgen/payload.json").exists()


@pytest.mark.parametrize("name", ["m1", "w1"])
def test_the_tree_on_the_machine_is_the_review_tree(one: Deployment, name: str) -> None:
    assert tree.differences(one.review(name), one.machines[name].root) == []


def test_a_machine_has_only_kubeadms_kubeconfigs(m1: Machine, w1: Machine) -> None:
    assert objects.kubeconfigs(m1.root) == [
        "admin.conf",
        "controller-manager.conf",
        "kubelet.conf",
        "scheduler.conf",
        "super-admin.conf",
    ]
    assert objects.kubeconfigs(w1.root) == ["kubelet.conf"]


def test_every_object_is_published_as_rendered(one: Deployment, m1: Machine) -> None:
    found = objects.live(one, m1)
    rendered = one.published()
    assert len(found) == len(rendered) > 25
    assert [(objects.key(each), objects.missing(each, found[objects.key(each)])) for each in rendered] == [
        (objects.key(each), []) for each in rendered
    ]


def test_every_probe_of_a_static_pod_answers(m1: Machine) -> None:
    asked = []
    for manifest in sorted((m1.root / "etc/kubernetes/manifests").iterdir()):
        (container,) = yaml.safe_load(manifest.read_text(encoding="utf-8"))["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            get = container.get(probe, {}).get("httpGet")
            if get:
                url = f"{get['scheme'].lower()}://{get['host']}:{ports.get(get['port'], get['port'])}{get['path']}"
                assert http_status(m1, url) == "200", url
                asked.append((container["name"], probe))
    assert len(asked) >= 11


def test_nodes_have_their_labels_taints_and_addresses(m1: Machine) -> None:
    master, node = api(m1, "node", "m1"), api(m1, "node", "w1")
    assert master["metadata"]["labels"].items() >= {
        ("node-role.kubernetes.io/control-plane", ""),
        ("node.kubernetes.io/exclude-from-external-load-balancers", ""),
    }
    assert {(taint["key"], taint["effect"]) for taint in master["spec"]["taints"]} >= {
        ("node-role.kubernetes.io/control-plane", "NoSchedule")
    }
    assert node["metadata"]["labels"]["rack"] == "r7"
    assert {"key": "dedicated", "value": "batch", "effect": "NoSchedule"} in node["spec"]["taints"]
    addresses = [each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"]
    assert addresses == ["10.71.0.21"]


def test_the_review_objects_can_be_applied(one: Deployment, m1: Machine) -> None:
    conf = m1.root / deployment.ADMIN
    words = ["apply", "--dry-run=server", "-f", one.outputs / "api"]
    output = m1.check(["kubectl", "--kubeconfig", conf, *words])
    assert output.count("(server dry run)") == len(one.published())


def test_kubeadm_reads_the_certificates(m1: Machine) -> None:
    output = m1.check(["kubeadm", "certs", "check-expiration", "--kubeconfig", f"/{deployment.ADMIN}"], chroot=True)
    leaves = dict.fromkeys(re.findall(r"^([a-z.-]+)\s+\w{3} \d\d, \d{4} .*?\s(\d+)[dy]\s", output, re.MULTILINE))
    names = {name for name, _ in leaves}
    assert names == {
        *("admin.conf", "apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "controller-manager.conf"),
        *("etcd-healthcheck-client", "etcd-peer", "etcd-server", "front-proxy-client", "scheduler.conf"),
        *("super-admin.conf", "ca", "etcd-ca", "front-proxy-ca"),
    }, output
    assert "MISSING" not in output


def test_kubeadm_lists_the_token(one: Deployment, m1: Machine) -> None:
    output = m1.check(["kubeadm", "token", "list", "--kubeconfig", f"/{deployment.ADMIN}"], chroot=True)
    (line,) = output.strip().splitlines()[1:]
    assert line.split()[0] == ".".join(_token(one))
    assert "23h" in line
    assert "authentication,signing" in line
    assert "system:bootstrappers:kubeadm:default-node-token" in line


def _token(one: Deployment) -> tuple[str, str]:
    secret = next(each for each in one.published() if each.get("type") == "bootstrap.kubernetes.io/token")
    token_id, token_secret = (base64.b64decode(secret["data"][f"token-{half}"]).decode() for half in ("id", "secret"))
    return token_id, token_secret


def test_cluster_info_is_signed_with_the_token(one: Deployment, m1: Machine) -> None:
    token_id, secret = _token(one)
    data = api(m1, "configmap", "cluster-info", "-n", "kube-public")["data"]
    signature = until(
        "signature of cluster-info",
        lambda: api(m1, "configmap", "cluster-info", "-n", "kube-public")["data"].get(f"jws-kubeconfig-{token_id}"),
    )

    def encoded(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    head = encoded(json.dumps({"alg": "HS256", "kid": token_id}, separators=(",", ":")).encode())
    signed = f"{head}.{encoded(data['kubeconfig'].encode())}".encode()
    assert signature == f"{head}..{encoded(hmac.digest(secret.encode(), signed, hashlib.sha256))}"


def test_certificate_requests_are_approved_and_signed(one: Deployment, m1: Machine) -> None:
    requests: list[dict[str, Any]] = api(m1, "csr")
    signed = {
        each["spec"]["username"]: x509.load_pem_x509_certificate(base64.b64decode(each["status"]["certificate"]))
        for each in requests
        if each["spec"]["signerName"] == NODE_CLIENT
        and {condition["type"] for condition in each["status"]["conditions"]} == {"Approved"}
    }
    subjects = {user: certificate.subject.rfc4514_string() for user, certificate in signed.items()}
    assert subjects == {
        f"system:bootstrap:{_token(one)[0]}": "CN=system:node:w1,O=system:nodes",
        "system:node:m1": "CN=system:node:m1,O=system:nodes",
    }


def test_kubelet_conf_points_at_the_rotated_certificate(m1: Machine) -> None:
    document = yaml.safe_load((m1.root / "etc/kubernetes/kubelet.conf").read_text(encoding="utf-8"))
    current = "/var/lib/kubelet/pki/kubelet-client-current.pem"
    assert [user["user"] for user in document["users"]] == [{"client-certificate": current, "client-key": current}]


def test_kubeadm_plans_an_upgrade_from_the_stored_configuration(upgrade_plan: tuple[int, str]) -> None:
    status, output = upgrade_plan
    assert status == 0, output
    assert 'Reading configuration from the "kubeadm-config" ConfigMap' in output
    current = dict(re.findall(r"^(\S+)\s+(?:m1\s+)?v?([0-9.-]+)\s+v?[0-9.-]+$", output, re.MULTILINE))
    assert current == {
        **dict.fromkeys(("kubelet", "kube-apiserver", "kube-controller-manager"), deployment.KUBERNETES),
        **dict.fromkeys(("kube-scheduler", "kube-proxy"), deployment.KUBERNETES),
        "CoreDNS": "1.14.6",
        "etcd": deployment.ETCD_TAG,
    }, output
    configs = re.findall(r"^(\S+\.k8s\.io)\s+\S+\s+\S+\s+no\s*$", output, re.MULTILINE)
    assert sorted(configs) == ["kubelet.config.k8s.io", "kubeproxy.config.k8s.io"]


def test_secrets_stay_out_of_command_lines_and_world_readable_files(one: Deployment, m1: Machine) -> None:
    secret = _token(one)[1]
    readable = [
        path
        for path in m1.root.rglob("*")
        if path.is_file()
        and not path.is_relative_to(m1.root / deployment.ETCD_DATA)
        and not path.is_relative_to(m1.root / "root")  # kubectl's cache of these tests
        and path.stat().st_mode & 0o077
        and (b"PRIVATE KEY" in path.read_bytes() or secret.encode() in path.read_bytes())
    ]
    assert readable == []
    command_lines = m1.check(["sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'"])
    assert "kube-apiserver" in command_lines
    assert secret not in command_lines
