"""What each credential of a cluster may do, and what it must not."""

from __future__ import annotations

import json
import sys

import pytest

from tests.control_plane.deployment import Deployment, kubectl
from tests.control_plane.http_get import http_status
from tests.control_plane.machines import Machine

WHO = """
import json, ssl, sys, urllib.request
context = ssl._create_unverified_context()
context.load_cert_chain(sys.argv[1], sys.argv[2])
body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
headers = {"Content-Type": "application/json", "X-Remote-User": "alice", "X-Remote-Group": "works"}
url = sys.argv[3] + "/apis/authentication.k8s.io/v1/selfsubjectreviews"
request = urllib.request.Request(url, json.dumps(body).encode(), headers)
with urllib.request.urlopen(request, context=context) as answer:
    user = json.load(answer)["status"]["userInfo"]
    print(answer.status, user["username"], user["groups"][0])
"""


ALLOWED = [
    ("admin.conf", "delete nodes"),
    ("super-admin.conf", "* *"),
    ("controller-manager.conf", "list secrets -A"),
    ("controller-manager.conf", "create serviceaccounts --subresource=token -n kube-system"),
    ("scheduler.conf", "create pods --subresource=binding -A"),
    ("kubelet.conf", "get configmap/kubelet-config -n kube-system"),
    ("kubelet.conf", "update nodes/m1 --subresource=status"),
]
DENIED = [
    ("controller-manager.conf", "create clusterrolebindings"),
    ("controller-manager.conf", "escalate clusterroles"),
    ("scheduler.conf", "get secrets -A"),
    ("scheduler.conf", "delete nodes"),
    ("kubelet.conf", "list secrets -A"),
    ("kubelet.conf", "create clusterrolebindings"),
    ("kubelet.conf", "create pods --subresource=exec -A"),
]


@pytest.mark.parametrize(("conf", "words"), ALLOWED)
def test_a_kubeconfig_may(m1: Machine, conf: str, words: str) -> None:
    status, output = _can_i(m1, conf, words)
    assert (status, output.strip().splitlines()[-1]) == (0, "yes")


@pytest.mark.parametrize(("conf", "words"), DENIED)
def test_a_kubeconfig_may_not(m1: Machine, conf: str, words: str) -> None:
    status, output = _can_i(m1, conf, words)
    assert status == 1
    assert output.strip().splitlines()[-1].startswith("no")


def _can_i(machine: Machine, conf: str, words: str) -> tuple[int, str]:
    command = ["kubectl", "--kubeconfig", f"/etc/kubernetes/{conf}", "auth", "can-i", *words.split()]
    return machine.run(command, chroot=True)


@pytest.mark.parametrize(
    ("conf", "user", "groups"),
    [
        ("admin.conf", "kubernetes-admin", {"kubeadm:cluster-admins"}),
        ("super-admin.conf", "kubernetes-super-admin", {"system:masters"}),
        ("controller-manager.conf", "system:kube-controller-manager", set()),
        ("scheduler.conf", "system:kube-scheduler", set()),
        ("kubelet.conf", "system:node:m1", {"system:nodes"}),
    ],
)
def test_a_kubeconfig_says_who_it_is(m1: Machine, conf: str, user: str, groups: set[str]) -> None:
    words = ["auth", "whoami", "-o", "json"]
    who = json.loads(kubectl(m1, *words, conf=f"etc/kubernetes/{conf}"))["status"]["userInfo"]
    assert who["username"] == user
    assert set(who["groups"]) == groups | {"system:authenticated"}


def test_the_api_server_may_use_the_kubelets_api_and_nothing_else(m1: Machine) -> None:
    pair = "/etc/kubernetes/pki/apiserver-kubelet-client"
    command = ["kubectl", "--kubeconfig", "/dev/null", "--server", "https://10.71.0.11:6443"]
    command += ["--certificate-authority", "/etc/kubernetes/pki/ca.crt", "--client-certificate", f"{pair}.crt"]
    command += ["--client-key", f"{pair}.key", "auth", "can-i"]
    assert m1.check([*command, "create", "nodes", "--subresource=proxy"], chroot=True).strip().endswith("yes")
    assert m1.run([*command, "list", "secrets", "-A"], chroot=True)[0] == 1


def test_the_api_server_trusts_the_front_proxys_word(m1: Machine) -> None:
    pki = m1.root / "etc/kubernetes/pki"
    command = [sys.executable, "-c", WHO, pki / "front-proxy-client.crt", pki / "front-proxy-client.key"]
    assert m1.check([*command, "https://10.71.0.11:6443"]).split() == ["201", "alice", "works"]


def test_a_nodes_kubeconfig_cannot_touch_another_node_or_its_own_role(m1: Machine) -> None:
    conf = "/etc/kubernetes/kubelet.conf"
    for words in ("label node w1 a=b", "label node m1 node-role.kubernetes.io/extra=", "taint node m1 a=b:NoSchedule"):
        status, output = m1.run(["kubectl", "--kubeconfig", conf, *words.split()], chroot=True)
        assert (status, "Forbidden" in output or "forbidden" in output) == (1, True), (words, output)


def test_anonymous_reads_cluster_info_and_nothing_else(m1: Machine) -> None:
    kube_system = "api/v1/namespaces/kube-system"
    for path, expected in {
        "api/v1/namespaces/kube-public/configmaps/cluster-info": "200",
        f"{kube_system}/configmaps/kubeadm-config": "403",
        f"{kube_system}/secrets": "403",
        "api/v1/nodes": "403",
    }.items():
        assert http_status(m1, f"https://10.71.0.11:6443/{path}") == expected, path


def test_the_kubeconfigs_of_the_outputs_work_from_outside(one: Deployment, w1: Machine) -> None:
    for conf in ("admin.conf", "super-admin.conf"):
        w1.check(["kubectl", "--kubeconfig", one.outputs / conf, "get", "nodes"])


def test_etcd_answers_its_own_certificates_only(m1: Machine) -> None:
    pki = "/etc/kubernetes/pki"
    command = ["etcdctl", "--endpoints", "https://10.71.0.11:2379", "--cacert", f"{pki}/etcd/ca.crt"]
    for pair in (f"{pki}/etcd/healthcheck-client", f"{pki}/apiserver-etcd-client"):
        m1.check([*command, "--cert", f"{pair}.crt", "--key", f"{pair}.key", "endpoint", "health"], chroot=True)
    other = f"{pki}/apiserver-kubelet-client"
    for credentials in ([], ["--cert", f"{other}.crt", "--key", f"{other}.key"]):
        status, _ = m1.run([*command, *credentials, "--command-timeout", "2s", "endpoint", "health"], chroot=True)
        assert status != 0
