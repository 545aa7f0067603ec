"""Three masters and a node, powered on in random order, with no load balancer until the masters are up."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.boot.clusters import Cluster, Tolerance, chosen_seed
from tests.boot.host import report, scaled
from tests.boot.machines import PREFIX, Segment

pytestmark = [pytest.mark.boot, pytest.mark.soak]

MASTERS = {"zeus-1": 11, "hera-2": 12, "ares-3": 13}
BALANCER = f"{PREFIX}.10"
# Three emulated machines share two cores. Each gets one CPU: with two, the threads of one machine wait for each other,
# and the kubelets restarted the API servers for being slow. etcd and the leases get longer times.
CLUSTER = f"""\
apiVersion: kgen/v1
name: three
kubernetesVersion: v1.37.2
controlPlaneEndpoint: {BALANCER}:6443
networking: {{podSubnet: 10.244.0.0/16, plugin: bridge}}
etcd:
  local:
    extraArgs:
      - {{name: heartbeat-interval, value: "HEARTBEAT"}}
      - {{name: election-timeout, value: "ELECTION"}}
controllerManager: {{extraArgs: &lease [
  {{name: leader-elect-lease-duration, value: LEASE}},
  {{name: leader-elect-renew-deadline, value: RENEW}},
  {{name: leader-elect-retry-period, value: 15s}}]}}
scheduler: {{extraArgs: *lease}}
nodeRegistration: {{ignorePreflightErrors: [NumCPU]}}
machines:
  - {{name: zeus-1, role: master, address: {PREFIX}.11}}
  - {{name: hera-2, role: master, address: {PREFIX}.12}}
  - {{name: ares-3, role: master, address: {PREFIX}.13}}
  - {{name: w1, role: node, address: {PREFIX}.21}}
"""
# A component may take 15 minutes to answer a liveness probe, since each restart slows the others down. The kubelets ask
# for readiness every 10 seconds: asking every second took a quarter of the processor.
TOLERANCE = Tolerance(healthy_seconds=1800, liveness_failures=90, readiness_period=10)
# A load balancer as small as one can be: every connection goes to the first master that takes it.
FORWARD = """
import socket, sys, threading
masters = sys.argv[2:]
def pump(a, b):
    try:
        while data := a.recv(65536): b.sendall(data)
    except OSError: pass
    finally:
        for each in (a, b):
            try: each.shutdown(socket.SHUT_RDWR)
            except OSError: pass
def serve(client):
    for master in masters:
        try: server = socket.create_connection((master, 6443), 3)
        except OSError: continue
        server.settimeout(None)
        threading.Thread(target=pump, args=(client, server), daemon=True).start()
        return pump(server, client)
    client.close()
listener = socket.create_server((sys.argv[1], 6443))
while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def cluster_file() -> str:
    """Return the cluster file with etcd's times and the leases, longer on a slow host; etcd allows 50 s at most."""
    election = min(50_000, scaled(10_000))
    times = {
        "HEARTBEAT": f"{election / 10:.0f}",
        "ELECTION": f"{election:.0f}",
        "LEASE": f"{scaled(120):.0f}s",
        "RENEW": f"{scaled(90):.0f}s",
    }
    return re.sub("|".join(times), lambda found: times[found[0]], CLUSTER)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return the cluster; its masters are powered on in random order, seconds apart."""
    with Segment("three") as segment:
        cluster = Cluster(segment, tmp_path_factory.mktemp("three"), cluster_file(), tolerance=TOLERANCE)
        seed = chosen_seed()
        chance = random.Random(seed)
        order = chance.sample(sorted(MASTERS), k=len(MASTERS))
        report(f"seed {seed}: powered on in the order {', '.join(order)}")
        for name in order:
            cluster.machine(name, MASTERS[name], cpus=1, memory=3072).power_on()
            time.sleep(chance.uniform(2, 12))
        begin = time.monotonic()
        cluster.until("etcd on three masters", lambda: shown(cluster, "kgen: etcd ", order))
        cluster.until("three API servers", lambda: shown(cluster, "kgen: apiserver ", order), 1500)
        report(f"three API servers {time.monotonic() - begin:.0f} s after the last power-on")
        yield cluster


def shown(cluster: Cluster, text: str, names: Sequence[str]) -> bool:
    """Return whether the consoles of all these machines have shown ``text``."""
    return all(text in cluster.machines[name].console() for name in names)


@pytest.fixture(scope="module")
def balancer(cluster: Cluster) -> Iterator[None]:
    """Run the load balancer."""
    segment = cluster.segment
    segment.run("ip", "addr", "add", f"{BALANCER}/24", "dev", "br0")
    addresses = [f"{PREFIX}.{number}" for number in MASTERS.values()]
    process = subprocess.Popen(segment.command(sys.executable, "-c", FORWARD, BALANCER, *addresses))
    yield
    process.kill()
    process.wait()


def etcdctl(cluster: Cluster, *words: str) -> Any:
    return cluster.etcdctl("hera-2", [f"{PREFIX}.{number}" for number in MASTERS.values()], *words)


def test_masters_form_one_etcd_without_a_load_balancer(cluster: Cluster) -> None:
    cluster.until("three masters done", lambda: shown(cluster, "kgen: done", [*MASTERS]), 3000)
    members = etcdctl(cluster, "member", "list")["members"]
    assert {member["name"] for member in members} == set(MASTERS)
    assert all(member.get("clientURLs") for member in members)
    assert [each["health"] for each in etcdctl(cluster, "endpoint", "health")] == [True] * len(MASTERS)
    statuses = etcdctl(cluster, "endpoint", "status")
    assert len({each["Status"]["header"]["cluster_id"] for each in statuses}) == 1


def test_three_apiservers_agree(cluster: Cluster, balancer: None) -> None:
    answers = set()
    for number in MASTERS.values():
        words = (
            "--server",
            f"https://{PREFIX}.{number}:6443",
            "get",
            "namespace",
            "kube-system",
            "-o",
            "jsonpath={.metadata.uid}",
        )
        answers.add(cluster.kubectl(*words))
    assert len(answers) == 1


def test_coredns_runs_on_the_masters(cluster: Cluster, balancer: None) -> None:
    # The fourth machine starts only after this: while the masters are this busy, its boot would keep the API servers
    # from answering their kubelets in time, and the kubelets would restart them.
    begin = time.monotonic()
    cluster.wait_for_coredns(30)
    report(f"CoreDNS rolled out {time.monotonic() - begin:.0f} s after the API servers agreed")
    words = ("get", "pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns", "-o")
    nodes = cluster.kubectl(*words, "jsonpath={.items[*].spec.nodeName}").split()
    assert len(nodes) == 2
    assert set(nodes) <= MASTERS.keys()


def test_node_joins_through_the_load_balancer(cluster: Cluster, balancer: None) -> None:
    cluster.machine("w1", 21, cpus=1, memory=2048).power_on()
    cluster.wait(30)


def test_serves_and_schedules_without_its_first_master(cluster: Cluster, balancer: None) -> None:
    cluster.machines["zeus-1"].kill()
    image = "--image=kgen.test/tools:1"

    def runs() -> bool:
        cluster.kubectl("delete", "pod", "late", "--ignore-not-found", "--wait=false")
        cluster.kubectl("run", "late", image, "--image-pull-policy=Never", "--command", "--", "sleep", "86400")
        cluster.kubectl("wait", "pod/late", "--for=condition=Ready", "--timeout=300s", timeout=320)
        return True

    cluster.until("pod on the two remaining masters' word", runs, 1200)


def test_a_wiped_master_stops_before_its_etcd(cluster: Cluster, balancer: None) -> None:
    machine = cluster.machines["zeus-1"]
    machine.new_disk()
    machine.console_log.unlink()
    machine.power_on()
    seconds = machine.wait_for("the guard's refusal", lambda: "member remove" in machine.console(), 1200)
    report(f"refused {seconds:.0f} s after power-on")
    assert machine.shell("kgen-firstboot --status").returncode == 2
    assert machine.shell("test -e /etc/kubernetes/manifests/etcd.yaml").returncode == 1
    assert {member["name"] for member in etcdctl(cluster, "member", "list")["members"]} == set(MASTERS)


def test_it_joins_again_as_its_console_says(cluster: Cluster, balancer: None) -> None:
    machine = cluster.machines["zeus-1"]
    where, commands = re.findall(r"To do: on (\S+): ([^\r\n]+)", machine.console())[-1]
    assert where in MASTERS
    here = "kubectl --kubeconfig /etc/kubernetes/admin.conf "
    for command in commands.split("; "):
        assert command.startswith(here)
        cluster.kubectl(*command.removeprefix(here).split())
    begin = time.monotonic()
    assert machine.shell("systemctl start --no-block kgen-firstboot").returncode == 0
    cluster.until("the first master again", lambda: shown(cluster, "kgen: done", ["zeus-1"]), 2400)
    report(f"a member again and done {time.monotonic() - begin:.0f} s after that")
    members = etcdctl(cluster, "member", "list")["members"]
    assert {(member["name"], bool(member.get("clientURLs"))) for member in members} == {
        (name, True) for name in MASTERS
    }
    assert [each["health"] for each in etcdctl(cluster, "endpoint", "health")] == [True] * len(MASTERS)
    assert len({each["Status"]["header"]["cluster_id"] for each in etcdctl(cluster, "endpoint", "status")}) == 1
