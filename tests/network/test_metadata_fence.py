"""``metadataFence`` with the real nft of the oldest and newest Debian: pods and the machine ask metadata services."""

from __future__ import annotations

import configparser
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgen import api
from kgen.content import metadata_fence
from kgen.facts import metadata_services
from tests.control_plane.machines import Bench, Machine
from tests.network import pods
from tests.network.pods import Pod, ask, serve
from tests.network.test_bridge import SUITES, set_routes

pytestmark = pytest.mark.real

CLUSTER = """\
apiVersion: kgen/v1
name: fenced
kubernetesVersion: v1.37.2
metadataFence: true
networking: {plugin: bridge, podSubnet: POD_SUBNET, serviceSubnet: SERVICE_SUBNET}
machines:
  - {name: m1, role: master, address: "ADDRESS"}
"""
SUBNETS = {4: ("10.244.0.0/16", "10.96.0.0/12"), 6: ("fd00:1::/48", "fd00:2::/112")}
ADDRESSES = {4: ("10.74.0.11", "10.74.0.99"), 6: ("fd00:74::11", "fd00:74::99")}
SERVICE = {4: "10.96.0.9", 6: "fd00:2::9"}
FORWARDING = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/all/forwarding"}
IPTABLES = {4: "iptables", 6: "ip6tables"}
USER_DATA = "#cloud-config of this machine"
_GET = "import urllib.request as u; print(u.urlopen('http://{host}/latest/user-data', timeout=5).read().decode())"


class Site:
    """A fenced master with a pod, and a cloud that answers at the addresses of every metadata service."""

    def __init__(self, version: int, suite: str, directory: Path, bench: Bench) -> None:
        self.version = version
        mine, clouds = ADDRESSES[version]
        pod_subnet, service_subnet = SUBNETS[version]
        cluster_file = directory / "cluster.yaml"
        values = {"POD_SUBNET": pod_subnet, "SERVICE_SUBNET": service_subnet, "ADDRESS": mine}
        text = CLUSTER
        for word, value in values.items():
            text = text.replace(word, value)
        cluster_file.write_text(text)
        self.tree = api.render(cluster_file, directory / "outputs").root / "nodes"
        root = directory / "m1"
        pods.install(suite, root)
        for path in ("etc/cni/net.d/10-kgen-bridge.conflist", "etc/kgen/routes", "etc/kgen/metadata-fence.nft"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes((self.tree / "m1" / path).read_bytes())
        self.machine = bench.add(Machine("m1", mine, root))
        self.machine.check(["sh", "-c", f"echo 1 > {FORWARDING[version]}"])
        set_routes(self.machine, self.tree)
        self.pod = Pod(self.machine, "pod", {8080: 80})
        self.cloud = bench.add(Machine("cloud", clouds, directory / "cloud"))
        self.addresses = [str(a) for a in metadata_services.addresses(version) if not a.is_link_local or a.version == 4]
        for address in self.addresses:
            quick = ["nodad"] if version == 6 else []
            self.cloud.check(["ip", "address", "add", address, "dev", "eth0", *quick])
        latest = directory / "service/latest"
        latest.mkdir(parents=True)
        (latest / "user-data").write_text(USER_DATA)
        server = [sys.executable, "-m", "http.server", "80", "--bind", "::", "--directory", latest.parent]
        self.cloud.start(server)
        self.cloud.check(["sh", "-c", "until ss -Htln sport = :80 | grep -q .; do sleep 0.05; done"], seconds=60)

    def nft(self, *words: str) -> str:
        """Return what the nft of the suite prints."""
        return self.machine.check(["nft", *words], chroot=True)

    def fence(self) -> None:
        """Run what the unit runs before the kubelet starts."""
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[method-assign,assignment]
        unit.read(self.tree / "m1/etc/systemd/system/kgen-metadata-fence.service")
        assert self.machine.check(shlex.split(unit["Service"]["ExecStartPre"]), chroot=True) == ""

    def open(self) -> None:
        """Take the fence away."""
        self.nft("delete", "table", "inet", "kgen-metadata-fence")

    def _get(self, address: str, *inside: str) -> str:
        host = f"[{address}]" if self.version == 6 else address
        status, output = self.machine.run([*inside, sys.executable, "-c", _GET.format(host=host)])
        return "refused" if status and "refused" not in output and "timed out" not in output else output.strip()

    def machine_gets(self, address: str) -> str:
        """Return the user-data that a program on the machine gets, or "refused"."""
        return self._get(address)

    def pod_gets(self, address: str) -> str:
        """Return the user-data that the pod gets, "refused", or what else went wrong."""
        return self._get(address, *self.pod.inside)


@pytest.fixture(scope="module", params=[(4, suite) for suite in SUITES] + [(6, SUITES[-1])], ids=str)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Bench() as bench:
        yield Site(*request.param, tmp_path_factory.mktemp("fence"), bench)


@pytest.fixture
def fenced(site: Site) -> Iterator[Site]:
    site.fence()
    yield site
    site.open()


def test_without_the_fence_pods_get_user_data(site):
    for address in site.addresses:
        assert site.pod_gets(address) == USER_DATA


def test_the_fence_keeps_pods_from_every_service_and_lets_the_machine_ask(fenced):
    assert len(fenced.addresses) >= 5
    for address in fenced.addresses:
        assert fenced.pod_gets(address) == "refused"
        assert fenced.machine_gets(address) == USER_DATA


def test_pods_still_reach_everything_else(fenced):
    assert fenced.pod_gets(ADDRESSES[fenced.version][1]) == USER_DATA


def test_dns_at_the_same_address_passes(fenced):
    serve(fenced.cloud, 53, is_ipv6=fenced.version == 6)
    assert fenced.pod.ask(fenced.addresses[0], 53) == ADDRESSES[fenced.version][0]


def test_answers_of_pods_to_health_checks_pass(fenced):
    """Load balancers of Azure ask from 168.63.129.16."""
    fenced.pod.serve(80)
    source = fenced.addresses[-1]
    client = (
        f"import socket as s; print(s.create_connection(({fenced.pod.address!r}, 80), 5, ({source!r}, 0)).recv(99))"
    )
    pod_subnet = SUBNETS[fenced.version][0]
    fenced.cloud.check(["ip", f"-{fenced.version}", "route", "add", pod_subnet, "via", ADDRESSES[fenced.version][0]])
    fenced.machine.check(["ip", f"-{fenced.version}", "route", "replace", source, "dev", "eth0"])
    assert source in fenced.cloud.check([sys.executable, "-c", client])


def test_a_service_with_the_address_as_endpoint_leads_nowhere(fenced):
    to = fenced.addresses[-1]
    service = SERVICE[fenced.version]
    target = f"[{to}]:80" if fenced.version == 6 else f"{to}:80"
    rule = ["PREROUTING", "-d", service, "-p", "tcp", "-j", "DNAT", "--to-destination", target]
    iptables = [IPTABLES[fenced.version], "-w", "-t", "nat"]
    fenced.machine.check([*iptables, "-I", *rule], chroot=True)
    assert fenced.pod_gets(service) == "refused"
    fenced.open()
    assert fenced.pod_gets(service) == USER_DATA
    fenced.fence()
    fenced.machine.check([*iptables, "-D", *rule], chroot=True)


def test_an_address_on_the_machine_itself_is_kept_from_pods_too(fenced):
    address = fenced.addresses[0]
    fenced.machine.check(["ip", "address", "add", address, "dev", "lo"])
    serve(fenced.machine, 80, is_ipv6=fenced.version == 6)
    assert fenced.pod_gets(address) == "refused"
    ask(fenced.machine, address, 80)
    fenced.machine.check(["ip", "address", "del", f"{address}/{32 if fenced.version == 4 else 128}", "dev", "lo"])


def test_setting_it_again_changes_nothing(fenced):
    before = fenced.nft("list", "ruleset")
    fenced.fence()
    assert fenced.nft("list", "ruleset") == before
    assert before.count("table inet kgen-metadata-fence") == 1


def test_it_outlives_what_kube_proxy_and_firewalls_do_to_their_own_tables(fenced):
    """kube-proxy restores chains of iptables, or replaces its own tables of nftables."""
    iptables = IPTABLES[fenced.version]
    for table in ("nat", "filter"):
        fenced.machine.check([iptables, "-w", "-t", table, "-F"], chroot=True)
    fenced.machine.check([iptables, "-w", "-I", "FORWARD", "-j", "ACCEPT"], chroot=True)
    ours = """\
        table FAMILY kube-proxy
        delete table FAMILY kube-proxy
        table FAMILY kube-proxy { chain f { type filter hook forward priority -110; accept; }; }
    """
    family = {4: "ip", 6: "ip6"}[fenced.version]
    fenced.machine.check(["sh", "-c", f"nft -f - <<'END'\n{ours.replace('FAMILY', family)}\nEND"], chroot=True)
    assert fenced.pod_gets(fenced.addresses[-1]) == "refused"
    assert fenced.machine_gets(fenced.addresses[-1]) == USER_DATA
    fenced.machine.check([iptables, "-w", "-F", "FORWARD"], chroot=True)
    set_routes(fenced.machine, fenced.tree)


def test_the_next_run_of_the_unit_mends_a_flushed_firewall(fenced):
    fenced.nft("flush", "ruleset")
    fenced.fence()
    set_routes(fenced.machine, fenced.tree)
    assert fenced.pod_gets(fenced.addresses[0]) == "refused"


@pytest.mark.parametrize("suite", SUITES)
def test_rules_for_the_host_network_are_understood(suite, tmp_path):
    """Only a machine with systemd has the control group of pods: tests/boot asks from a pod. Here nft looks it up."""
    root = tmp_path / "root"
    pods.install(suite, root)
    (root / "rules.nft").write_text(metadata_fence.rules(host_network=True))
    with Bench() as bench:
        status, output = bench.add(Machine("m1", "10.74.0.11", root)).run(["nft", "-f", "/rules.nft"], chroot=True)
    assert status
    (problem,) = re.findall("Error: (.*)", output)
    assert problem.startswith(("cgroupv2 path fails: No such file", "Could not parse cgroupsv2 path"))
    assert "syntax error" not in output
