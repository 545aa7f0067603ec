"""The rendered bridge on real CNI plugins, oldest and newest: who reaches whom, and from which address."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgen import api
from tests.control_plane.machines import Bench, Machine
from tests.network import pods
from tests.network.pods import Pod, ask, serve

pytestmark = pytest.mark.real

CLUSTER = """\
apiVersion: kgen/v1
name: bridge
kubernetesVersion: v1.37.2
networking: {plugin: bridge, podSubnet: 10.244.0.0/16}
machines:
  - {name: m1, role: master, address: 10.74.0.11}
  - {name: w1, role: node, address: 10.74.0.21, podCIDR: 10.244.7.0/24}
"""
ADDRESSES = {"m1": "10.74.0.11", "w1": "10.74.0.21"}
SUITES = ("bookworm", "forky")  # CNI plugins 1.1 and later than 1.6


class Network:
    """Two machines of the cluster with a pod each, and a host that is neither."""

    def __init__(self, suite: str, directory: Path, bench: Bench) -> None:
        cluster_file = directory / "cluster.yaml"
        cluster_file.write_text(CLUSTER)
        self.tree = api.render(cluster_file, directory / "outputs").root / "nodes"
        self.machines = {name: self._machine(name, suite, directory, bench) for name in ADDRESSES}
        self.outside = Machine("outside", "10.74.0.99", directory / "outside")
        bench.add(self.outside)
        self.pods = {name: Pod(machine, f"pod-{name}", {8080: 80}) for name, machine in self.machines.items()}

    def _machine(self, name: str, suite: str, directory: Path, bench: Bench) -> Machine:
        root = directory / name
        pods.install(suite, root)
        for path in ("etc/cni/net.d/10-kgen-bridge.conflist", "etc/kgen/routes"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes((self.tree / name / path).read_bytes())
        machine = bench.add(Machine(name, ADDRESSES[name], root))
        machine.check(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
        set_routes(machine, self.tree)
        return machine


def set_routes(machine: Machine, tree: Path) -> None:
    """Run what the unit runs first."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign,assignment]
    unit.read(tree / machine.name / "etc/systemd/system/kgen-routes.service")
    first = re.fullmatch(r"/bin/sh -c 'while :; do (sh \S+); sleep 30; done'", unit["Service"]["ExecStart"])
    assert first
    output = machine.check(first[1].split(), chroot=True)
    assert output == ""


@pytest.fixture(scope="module", params=SUITES)
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with Bench() as bench:
        yield Network(request.param, tmp_path_factory.mktemp(request.param), bench)


@pytest.fixture
def m1(network: Network) -> Pod:
    return network.pods["m1"]


@pytest.fixture
def w1(network: Network) -> Pod:
    return network.pods["w1"]


def test_pods_have_addresses_of_their_machines_ranges(m1, w1):
    assert m1.address == "10.244.0.2"
    assert w1.address == "10.244.7.2"


def test_pods_see_each_other_across_machines_under_their_own_addresses(m1, w1):
    for client, server in ((m1, w1), (w1, m1)):
        server.serve(80)
        assert client.ask(server.address, 80) == client.address


def test_pods_of_one_machine_see_each_other(network, m1):
    other = Pod(network.machines["m1"], "other")
    other.serve(80)
    assert m1.ask(other.address, 80) == m1.address
    other.delete()
    again = Pod(network.machines["m1"], "again")
    assert again.address not in (m1.address, other.address)
    again.delete()


def test_others_see_pods_under_the_machines_address(network, m1):
    serve(network.outside, 80)
    assert m1.ask("10.74.0.99", 80) == "10.74.0.11"
    serve(network.machines["w1"], 81)
    assert m1.ask("10.74.0.21", 81) == "10.74.0.11"


def test_machines_reach_pods(network, w1):
    w1.serve(80)
    assert ask(network.machines["m1"], w1.address, 80) == "10.74.0.11"


def test_a_host_port_leads_to_the_pod(network, w1):
    w1.serve(80)
    assert ask(network.outside, "10.74.0.21", 8080) == "10.74.0.99"


def test_a_pod_may_reach_itself_through_a_service(network, m1):
    """kube-proxy's packets come back to the port of the bridge that they came from, which a bridge drops otherwise."""
    links = json.loads(network.machines["m1"].check(["bridge", "-json", "-details", "link"], chroot=True))
    ports = [link for link in links if link.get("master") == "cni0"]
    assert ports
    assert all(port["hairpin"] for port in ports)


def test_a_services_address_is_refused_at_once_until_kube_proxy_translates_it(network, m1, w1):
    machine = network.machines["m1"]
    with pytest.raises(AssertionError, match="Connection refused"):
        m1.ask("10.96.0.1", 80)
    rule = ["PREROUTING", "-d", "10.96.0.1", "-p", "tcp", "-j", "DNAT", "--to-destination", f"{w1.address}:80"]
    machine.check(["iptables", "-w", "-t", "nat", "-A", *rule], chroot=True)
    w1.serve(80)
    assert m1.ask("10.96.0.1", 80) == m1.address
    machine.check(["iptables", "-w", "-t", "nat", "-D", *rule], chroot=True)


def rules(machine: Machine) -> list[str]:
    tables = ("nat", "filter")
    listed = [machine.check(["iptables", "-w", "-t", table, "-S"], chroot=True).splitlines() for table in tables]
    return [line for lines in listed for line in lines]


def test_routes_and_rules_may_be_set_any_number_of_times(network):
    for machine in network.machines.values():
        before = rules(machine), machine.check(["ip", "route"])
        set_routes(machine, network.tree)
        assert (rules(machine), machine.check(["ip", "route"])) == before
        assert sum("10.244.0.0/16" in rule for rule in before[0]) == 4


def test_a_firewall_that_forwards_nothing_lets_pods_pass(network, m1, w1):
    machine = network.machines["w1"]
    machine.check(["iptables", "-P", "FORWARD", "DROP"], chroot=True)
    w1.serve(80)
    assert m1.ask(w1.address, 80) == m1.address
    machine.check(["iptables", "-P", "FORWARD", "ACCEPT"], chroot=True)


def test_routes_and_rules_come_back_after_a_lost_cable_and_a_flushed_firewall(network, m1, w1):
    machine = network.machines["m1"]
    machine.unplug()
    machine.plug()
    machine.check(["iptables", "-t", "nat", "-F"], chroot=True)
    assert "10.244.7.0/24" not in machine.check(["ip", "route"])
    set_routes(machine, network.tree)
    w1.serve(80)
    assert m1.ask(w1.address, 80) == m1.address
    serve(network.outside, 80)
    assert m1.ask("10.74.0.99", 80) == "10.74.0.11"
