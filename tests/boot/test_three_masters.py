"""Three masters and a node, powered on in random order, with no load balancer until the masters are up."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.boot.clusters import Cluster, chosen_seed, report
from tests.boot.machines import PREFIX, Segment

pytestmark = [pytest.mark.boot, pytest.mark.soak]

MASTERS = {"zeus-1": 11, "hera-2": 12, "ares-3": 13}
BALANCER = f"{PREFIX}.10"
# Three emulated machines share two cores: they get one CPU each (with two, the threads of one machine wait for each
# other, and the API servers were restarted for being slow), etcd and the leases the time that this takes. The patches
# give a component 15 minutes to answer a liveness probe, since each restart slows the others down, and ask three of
# them for their readiness every 10 seconds instead of every second, which took the kubelet a quarter of the processor.
CLUSTER = f"""\
apiVersion: kgen/v1
name: three
kubernetesVersion: v1.37.2
controlPlaneEndpoint: {BALANCER}:6443
networking: {{podSubnet: 10.244.0.0/16, plugin: bridge}}
etcd:
  local:
    extraArgs:
      - {{name: heartbeat-interval, value: "1000"}}
      - {{name: election-timeout, value: "10000"}}
controllerManager: {{extraArgs: &lease [
  {{name: leader-elect-lease-duration, value: 120s}},
  {{name: leader-elect-renew-deadline, value: 90s}},
  {{name: leader-elect-retry-period, value: 15s}}]}}
scheduler: {{extraArgs: *lease}}
timeouts: {{controlPlaneComponentHealthCheck: 30m}}
patches: {{directory: {Path(__file__).with_name("patches")}}}
nodeRegistration: {{ignorePreflightErrors: [NumCPU]}}
machines:
  - {{name: zeus-1, role: master, address: {PREFIX}.11}}
  - {{name: hera-2, role: master, address: {PREFIX}.12}}
  - {{name: ares-3, role: master, address: {PREFIX}.13}}
  - {{name: w1, role: node, address: {PREFIX}.21}}
"""
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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return the cluster; its masters are powered on in random order, seconds apart."""
    with Segment("three") as segment:
        cluster = Cluster(segment, tmp_path_factory.mktemp("three"), CLUSTER)
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
    assert all(each["health"] for each in etcdctl(cluster, "endpoint", "health"))
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
    # When it does, their storm is over: a fourth machine that boots during it keeps the API servers from answering
    # their kubelets in time, and they are restarted.
    rollout = ("rollout", "status", "--namespace=kube-system", "deployment/coredns", "--timeout=1800s")
    begin = time.monotonic()
    cluster.kubectl(*rollout, timeout=1820)
    report(f"CoreDNS rolled out {time.monotonic() - begin:.0f} s after the API servers agreed")


def test_node_joins_through_the_load_balancer(cluster: Cluster, balancer: None) -> None:
    cluster.machine("w1", 21, cpus=1, memory=2048).power_on()
    done = cluster.kgen("wait", "cluster.yaml", "--timeout", "30m", timeout=2000)
    assert done.returncode == 0, done.stderr


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
    for command in commands.split("; "):
        program, *words = command.split()
        assert program == "etcdctl"
        etcdctl(cluster, *words)
    begin = time.monotonic()
    assert machine.shell("systemctl start --no-block kgen-firstboot").returncode == 0
    cluster.until("the first master again", lambda: shown(cluster, "kgen: done", ["zeus-1"]), 2400)
    report(f"a member again and done {time.monotonic() - begin:.0f} s after that")
    members = etcdctl(cluster, "member", "list")["members"]
    assert {(member["name"], bool(member.get("clientURLs"))) for member in members} == {
        (name, True) for name in MASTERS
    }
    assert all(each["health"] for each in etcdctl(cluster, "endpoint", "health"))
    assert len({each["Status"]["header"]["cluster_id"] for each in etcdctl(cluster, "endpoint", "status")}) == 1
