"""One master, one node, from power-on to Ready; then a node that joins with stock kubeadm. The tests run in order.

The master has its document on a disc. The node has a disk and nothing else: it starts by iPXE. Both payloads are
sealed; the master gets its key by QEMU's fw_cfg, the node by its SMBIOS.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from kgen.facts import names
from kgen.lab import qemu
from tests.boot.clusters import SERVE_PORT, Cluster
from tests.boot.machines import GATEWAY, Machine, Segment
from tests.boot.packets import Watcher
from tests.components import containers

pytestmark = pytest.mark.boot

MASTER, NODE, JOINED = 11, 21, 22
# A single emulated master misses the deadlines of leader election, and does not need one.
CLUSTER = """\
apiVersion: kgen/v1
name: boot
kubernetesVersion: v1.37.2
image: {runner: baked}
userData: {secrets: sealed}
controlPlaneEndpoint: 10.88.0.11:6443
networking: {podSubnet: 10.244.0.0/16, plugin: bridge}
controllerManager: {extraArgs: [{name: leader-elect, value: "false"}]}
scheduler: {extraArgs: [{name: leader-elect, value: "false"}]}
machines:
  - {name: m1, role: master, address: 10.88.0.11}
  - {name: w1, role: node, address: 10.88.0.21, mac: "52:54:00:00:00:15", labels: {rack: r7}}
"""
DHCP = {("udp", GATEWAY, 67), ("udp", "255.255.255.255", 67), ("udp", "255.255.255.255", 68)}
PLAN_SECONDS = 600
JOINED_LINE = "  - {name: w2, role: node, address: 10.88.0.22}\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return the cluster. The node is powered on when the master is done: two machines would fight for two cores."""
    with Segment("one") as segment:
        cluster = Cluster(segment, tmp_path_factory.mktemp("one"), CLUSTER)
        master = cluster.machine("m1", MASTER)
        with Watcher(segment, cluster.directory) as cluster.watcher:
            master.power_on()
            master.wait_for("end of the first boot", lambda: "kgen: done" in master.console(), 1500)
            node = cluster.machine("w1", NODE, cpus=1, memory=2048)
            node.from_network = True
            with cluster.serve():
                node.power_on("-smbios", f"type=11,path={smbios_string(node)}")
                yield cluster


def smbios_string(machine: Machine) -> Path:
    """Write the key of a machine's payload as SMBIOS has it, and take away what fw_cfg would have."""
    key = machine.directory / qemu.SEAL_KEY
    value = base64.b64encode(key.read_bytes()).decode()
    key.unlink()
    string = machine.directory / "smbios"
    string.write_text(f"io.systemd.credential.binary:{names.SEAL_KEY_CREDENTIAL}={value}", encoding="ascii")
    return string


def test_kgen_wait_reports_both_ready(cluster: Cluster) -> None:
    cluster.wait(20)
    nodes = {node["metadata"]["name"]: node for node in cluster.get("nodes")["items"]}
    assert set(nodes) == {"m1", "w1"}
    for node in nodes.values():
        assert {each["type"]: each["status"] for each in node["status"]["conditions"]}["Ready"] == "True"
    assert nodes["w1"]["metadata"]["labels"]["rack"] == "r7"
    assert [taint["key"] for taint in nodes["m1"]["spec"]["taints"]] == ["node-role.kubernetes.io/control-plane"]


def test_the_node_has_started_by_ipxe(cluster: Cluster) -> None:
    cluster.until("a report of its end", lambda: any(each["text"] == "done, step done" for each in cluster.served()))
    events = cluster.served()
    assert {each["address"] for each in events} <= {"10.88.0.21", None}
    texts = [each["text"].partition(" (")[0] for each in events if each["event"] == "served"]
    assert texts[0] == "got its boot script"
    assert texts.count("took user-data") == 1
    assert any(each["stage"] == "first boot" and "step" in each["text"] for each in events)
    assert not [each for each in events if each["event"] == "refused"]


def test_the_keys_of_the_payloads_came_beside_the_user_data(cluster: Cluster) -> None:
    assert cluster.kgen("exposure", "cluster.yaml", "--fail-on", "userData").returncode == 0
    for machine in cluster.machines.values():
        assert machine.shell(f"test -e {names.SEAL_KEY_PATH}").returncode == 1
        assert machine.shell(f"test -s /run/credentials/@system/{names.SEAL_KEY_CREDENTIAL}").returncode == 0


def test_machines_talk_only_to_each_other(cluster: Cluster) -> None:
    """From power-on to Ready nothing is asked of the world but what the network names: DHCP, names, `kgen serve`."""
    seen = cluster.watcher.seen()
    assert ("tcp", "10.88.0.11", 6443) in seen  # the node's
    strangers = {each for each in seen if not each[1].startswith(("10.88.0.11", "10.88.0.21", "10.244."))}
    # Whoever looks on asks from the gateway's address, and may be told by ICMP that nobody is there.
    ours = {("tcp", GATEWAY, 53), ("udp", GATEWAY, 53), ("icmp", GATEWAY, 0), ("tcp", GATEWAY, SERVE_PORT)}
    assert strangers <= ours | DHCP


def test_runner_is_done_and_cloud_init_agrees(cluster: Cluster) -> None:
    for machine in cluster.machines.values():
        cluster.until("cloud-init done", lambda machine=machine: machine.shell("cloud-init status").returncode == 0)
        status = machine.shell("kgen-firstboot --status")
        assert status.returncode == 0, status.stdout
        assert machine.shell("test -e /etc/kgen/payload.json").returncode == 1


def test_kgen_status(cluster: Cluster) -> None:
    done = cluster.kgen("status", "cluster.yaml")
    assert done.returncode == 0, done.stderr
    for word in ("m1", "w1", "v1.37.2", "Ready", "apiserver"):
        assert word in done.stdout


def test_files_on_the_master_are_those_of_the_review_tree(cluster: Cluster) -> None:
    review = cluster.outputs / "nodes/m1"
    # kubelet-finalize points it at the rotated certificate; resolvConf is decided on the machine.
    changed = {"etc/kubernetes/kubelet.conf", "var/lib/kubelet/config.yaml"}
    compared = {str(path.relative_to(review)): path for path in review.rglob("*") if path.is_file()}
    assert {*changed, "etc/kubernetes/manifests/etcd.yaml", "etc/kubernetes/pki/ca.crt"} < compared.keys()
    for name, path in sorted(compared.items()):
        if name not in changed:
            said = cluster.machines["m1"].shell(f"stat -c %a:%U '/{name}' && sha256sum <'/{name}'").stdout.split()
            assert said[0] == f"{path.stat().st_mode & 0o7777:o}:root", name
            ours = cluster.segment.run("sha256sum", path).stdout.split()[0]
            assert said[1] == ours, name


def test_coredns_answers_a_pod_on_the_node(cluster: Cluster) -> None:
    overrides = '{"spec":{"nodeName":"w1"}}'
    cluster.kubectl(
        *("run", "tools", f"--image={containers.TOOLS_IMAGE}", "--image-pull-policy=Never", f"--overrides={overrides}"),
        *("--command", "--", "sh", "-c", "echo started; exec sleep 86400"),
    )
    cluster.wait_for_coredns()
    cluster.until("pod", lambda: cluster.kubectl("wait", "pod/tools", "--for=condition=Ready", "--timeout=60s"), 600)
    name = "kubernetes.default.svc.cluster.local"
    # The service's address, so kube-proxy's rules on the node are asked, too.
    answer = cluster.until("DNS", lambda: cluster.kubectl("exec", "tools", "--", "nslookup", name, "10.96.0.10"), 300)
    assert "10.96.0.1" in answer.split("Name:")[1]


def test_kubectl_logs_and_exec(cluster: Cluster) -> None:
    assert cluster.kubectl("logs", "tools") == "started\n"
    assert "sleep 86400" in cluster.kubectl("exec", "tools", "--", "cat", "/proc/1/cmdline").replace("\0", " ")
    pods = cluster.get("pods", "--namespace=kube-system", "--selector=k8s-app=kube-proxy")["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"m1", "w1"}
    for pod in pods:
        assert cluster.kubectl("logs", "--namespace=kube-system", pod["metadata"]["name"])


def test_kubelet_certificates_came_from_csrs(cluster: Cluster) -> None:
    requests = cluster.get("csr")["items"]
    signed = [each for each in requests if each["status"].get("certificate")]
    assert {each["spec"]["username"].rpartition(":")[2] for each in signed} >= {"m1"}
    assert set(cluster.machines) == {"m1", "w1"}
    current = "/var/lib/kubelet/pki/kubelet-client-current.pem"
    for name, machine in cluster.machines.items():
        text = machine.shell("cat /etc/kubernetes/kubelet.conf").stdout
        assert f"client-certificate: {current}" in text, re.sub("data: .*", "data: …", text)
        text = machine.shell(f"cat {current}").stdout
        certificate = x509.load_pem_x509_certificate(text[text.index("-----BEGIN CERT") :].encode())
        assert certificate.subject.rfc4514_string() == f"CN=system:node:{name},O=system:nodes"
        # What the cluster signed, not what kgen shipped.
        issued = {ssl.PEM_cert_to_DER_cert(pem) for pem in map(_certificate, signed)}
        assert ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERT") :].split("-----BEGIN EC")[0]) in issued


def _certificate(request: dict[str, dict[str, str]]) -> str:
    return base64.b64decode(request["status"]["certificate"]).decode()


def test_kubeadm_accepts_the_master(cluster: Cluster) -> None:
    master = cluster.machines["m1"]
    expiration = master.shell("kubeadm certs check-expiration --kubeconfig /etc/kubernetes/admin.conf")
    assert expiration.returncode == 0, expiration.stderr
    for name in ("admin.conf", "apiserver", "apiserver-etcd-client", "etcd-peer", "front-proxy-client"):
        assert name in expiration.stdout
    assert "missing" not in expiration.stdout.lower().replace("externally managed", "")
    tokens = master.shell("kubeadm token list --kubeconfig /etc/kubernetes/admin.conf")
    assert "authentication,signing" in tokens.stdout, tokens.stderr
    plan = master.shell("kubeadm upgrade plan v1.37.3 --kubeconfig /etc/kubernetes/admin.conf", timeout=PLAN_SECONDS)
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert "kube-apiserver" in plan.stdout
    assert "v1.37.3" in plan.stdout


def test_a_node_joins_with_stock_kubeadm(cluster: Cluster) -> None:
    cluster.write(CLUSTER + JOINED_LINE)
    for name in ("m1", "w1"):
        done = cluster.machines[name].shell(cluster.kgen("routes", "cluster.yaml", name).stdout)
        assert done.returncode == 0, done.stderr
    line = cluster.kgen("token", "join-command", "cluster.yaml").stdout.strip().splitlines()[-1]
    assert line.startswith("kubeadm join "), line
    machine = cluster.machine("w2", JOINED, cpus=1, memory=2048)
    machine.seed(stock_join(cluster.outputs / "nodes/w2", line), "i-w2-1", hostname="w2")
    machine.power_on()
    cluster.until("w2 Ready", lambda: is_ready(cluster, "w2"), 1200)
    assert machine.shell("test -e /etc/kgen/payload.json -o -e /var/lib/kgen").returncode == 1, "kgen was here"
    cluster.wait(5)


@pytest.mark.soak
def test_a_node_is_rebuilt_after_its_token_has_expired(cluster: Cluster) -> None:
    machine = cluster.machines["w1"]
    before = cluster.until("w1 Ready", lambda: is_ready(cluster, "w1") and cluster.get("node", "w1"))
    expire_token(cluster)
    machine.kill()
    machine.new_disk()
    machine.console_log.unlink()
    machine.from_network = False  # `kgen serve` gives a document once
    machine.power_on()
    machine.wait_for("its finding", lambda: "bootstrap token has expired" in machine.console(), 600)
    assert "kgen token renew" in machine.console()
    renewed = cluster.kgen("token", "renew", "cluster.yaml")
    assert renewed.returncode == 0, renewed.stderr
    machine.wait_for("done", lambda: "kgen: done" in machine.console(), 600)
    after = cluster.until("w1 Ready", lambda: is_ready(cluster, "w1") and cluster.get("node", "w1"))
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["nodeInfo"]["machineID"] != before["status"]["nodeInfo"]["machineID"]


def expire_token(cluster: Cluster) -> None:
    """Let the bootstrap token have expired a minute ago, and wait until the cluster has removed it."""
    (secret,) = (
        path.stem.partition("kube-system-")[2] for path in (cluster.outputs / "api").glob("*-bootstrap-token-*")
    )
    past = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = json.dumps({"stringData": {"expiration": past}})
    cluster.kubectl("--namespace=kube-system", "patch", "secret", secret, f"--patch={patch}")
    tokens = ("secrets", "--namespace=kube-system", "--field-selector=type=bootstrap.kubernetes.io/token")
    cluster.until("removal of the token", lambda: not cluster.get(*tokens)["items"])


def stock_join(review: Path, line: str, without: Collection[str] = ()) -> bytes:
    """Return a cloud-config that has nothing of kgen's but its plan of pod ranges, and runs ``line``.

    ``without`` names directories whose files stay out.
    """
    network = [path for path in review.rglob("*") if path.is_file() and "kubernetes" not in path.parts]
    files = [
        {"path": "/" + str(path.relative_to(review)), "content": path.read_text(encoding="utf-8")}
        for path in network
        if {"kubelet", *without}.isdisjoint(path.parts)
    ]
    commands = ["systemctl enable --now kgen-routes.service", "systemctl enable kubelet", line]
    document = {"hostname": "w2", "write_files": files, "runcmd": commands}
    return b"#cloud-config\n" + yaml.safe_dump(document).encode()


def is_ready(cluster: Cluster, name: str) -> bool:
    """Return whether a Node is Ready."""
    conditions = cluster.get("node", name)["status"]["conditions"]
    return {each["type"]: each["status"] for each in conditions}["Ready"] == "True"
