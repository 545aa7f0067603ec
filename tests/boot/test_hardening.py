"""A cluster with ``hardening: cis`` on whole machines; then a node that joins with stock kubeadm. In order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from kgen.facts import hardening, names
from kgen.facts.hardening import Files
from tests.boot.clusters import Cluster
from tests.boot.machines import Segment
from tests.boot.test_one_master import is_ready, stock_join
from tests.components import containers

pytestmark = [pytest.mark.boot, pytest.mark.soak]

MASTER, NODE, JOINED = 11, 21, 22
CLUSTER = """\
apiVersion: kgen/v1
name: hardened
kubernetesVersion: v1.37.2
image: {runner: baked}
hardening: cis
controlPlaneEndpoint: 10.88.0.11:6443
networking: {podSubnet: 10.244.0.0/16, plugin: bridge}
controllerManager: {extraArgs: [{name: leader-elect, value: "false"}]}
scheduler: {extraArgs: [{name: leader-elect, value: "false"}]}
machines:
  - {name: m1, role: master, address: 10.88.0.11}
  - {name: w1, role: node, address: 10.88.0.21}
"""
JOINED_LINE = "  - {name: w2, role: node, address: 10.88.0.22}\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return the cluster, with a pod on its node."""
    with Segment("hardened") as segment:
        cluster = Cluster(segment, tmp_path_factory.mktemp("hardened"), CLUSTER)
        master = cluster.machine("m1", MASTER)
        master.power_on()
        master.wait_for("end of the first boot", lambda: "kgen: done" in master.console(), 1500)
        cluster.machine("w1", NODE, cpus=1, memory=2048).power_on()
        cluster.wait(20)
        run(cluster, "tools", "w1")
        yield cluster


def run(cluster: Cluster, name: str, node: str) -> None:
    """Run a pod on a node until it is Ready."""
    overrides = json.dumps({"spec": {"nodeName": node}})
    cluster.kubectl(
        *("run", name, f"--image={containers.TOOLS_IMAGE}", "--image-pull-policy=Never", f"--overrides={overrides}"),
        *("--command", "--", "sh", "-c", "echo started; exec sleep 86400"),
    )
    cluster.until(name, lambda: cluster.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s"), 600)


@pytest.mark.parametrize("name", ["m1", "w1"])
def test_files_have_the_modes_and_owners_of_the_table(cluster: Cluster, name: str) -> None:
    found = cluster.machines[name].shell(
        "find /etc/kubernetes /etc/cni /var/lib/kubelet /var/lib/etcd -xdev -printf '%m %u:%g %p\\n'"
    )
    entries = [line.split(maxsplit=2) for line in found.stdout.splitlines()]
    wrong, seen = [], 0
    for check in hardening.CHECKS:
        for setting in check.settings:
            for mode, owner, path in entries if isinstance(setting, Files) else ():
                if any(fnmatchcase(path, pattern) for pattern in setting.patterns):
                    seen += 1
                    is_right = owner == "root:root" if setting.mode is None else not int(mode, 8) & ~setting.mode
                    wrong += [] if is_right else [(check.number, mode, owner, path)]
    assert wrong == []
    assert seen > 10


@pytest.mark.parametrize("name", ["m1", "w1"])
def test_the_kubelet_starts_only_with_these_kernel_parameters(cluster: Cluster, name: str) -> None:
    machine = cluster.machines[name]
    for parameter, value in names.KUBELET_SYSCTLS.items():
        path = parameter.replace(".", "/")
        assert machine.shell(f"cat /proc/sys/{path}").stdout.strip() == value
    assert "protectKernelDefaults: true" in machine.shell("cat /var/lib/kubelet/config.yaml").stdout


def test_the_kubelet_answers_nobody_without_a_credential(cluster: Cluster) -> None:
    machine = cluster.machines["w1"]
    ask = "curl -sko /dev/null -w '%{http_code}'"
    assert machine.shell(f"{ask} https://10.88.0.21:10250/pods").stdout == "401"
    assert machine.shell(f"{ask} http://10.88.0.21:10255/pods").returncode == 7  # nothing listens there


def test_the_api_server_reaches_the_kubelets_that_it_verifies(cluster: Cluster) -> None:
    assert cluster.kubectl("logs", "tools") == "started\n"
    assert cluster.kubectl("logs", "--namespace=kube-system", "kube-scheduler-m1", "--tail=1")


def test_a_pod_has_a_seccomp_profile_and_a_limit_of_processes(cluster: Cluster) -> None:
    status = cluster.kubectl("exec", "tools", "--", "cat", "/proc/1/status")
    assert "Seccomp:\t2" in status
    limits = cluster.machines["w1"].shell("cat /sys/fs/cgroup/kubepods.slice/*/*/pids.max").stdout.split()
    assert "4096" in limits


def test_cluster_dns_works(cluster: Cluster) -> None:
    cluster.wait_for_coredns()
    name = "kubernetes.default.svc.cluster.local"
    answer = cluster.until("DNS", lambda: cluster.kubectl("exec", "tools", "--", "nslookup", name, "10.96.0.10"), 300)
    assert "10.96.0.1" in answer.split("Name:")[1]


def test_a_node_joins_with_stock_kubeadm(cluster: Cluster) -> None:
    """Its machine has no kernel parameters of kgen, and its serving certificate needs an approval."""
    cluster.write(CLUSTER + JOINED_LINE)
    for name in ("m1", "w1"):
        done = cluster.machines[name].shell(cluster.kgen("routes", "cluster.yaml", name).stdout)
        assert done.returncode == 0, done.stderr
    line = cluster.kgen("token", "join-command", "cluster.yaml").stdout.strip().splitlines()[-1]
    machine = cluster.machine("w2", JOINED, cpus=1, memory=2048)
    machine.seed(stock_join(cluster.outputs / "nodes/w2", line, without=("sysctl.d",)), "i-w2-1", hostname="w2")
    machine.power_on()
    cluster.until("w2 Ready", lambda: is_ready(cluster, "w2"), 1200)
    assert "protectKernelDefaults" not in machine.shell("cat /var/lib/kubelet/config.yaml").stdout

    def asked() -> list[str]:
        requests = cluster.get("csr")["items"]
        return [
            each["metadata"]["name"]
            for each in requests
            if each["spec"]["signerName"] == "kubernetes.io/kubelet-serving"
            and each["spec"]["username"] == "system:node:w2"
            and not each["status"].get("conditions")
        ]

    cluster.kubectl("certificate", "approve", *cluster.until("request of w2", asked, 300))
    run(cluster, "more", "w2")
    cluster.until("logs of w2", lambda: cluster.kubectl("logs", "more") == "started\n", 300)
