"""A cluster with IPv6 alone, and one with both address families, used over IPv6."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

import pytest
import yaml

from tests.control_plane import deployment, objects, tree
from tests.control_plane.conftest import HERE
from tests.control_plane.deployment import Deployment, api, kubectl
from tests.control_plane.http_get import http_status
from tests.control_plane.machines import Bench, Machine, until
from tests.control_plane.test_outside import run

ADDRESSES = {
    "six": {"m1": "fd00:75::11,fd00:75::100", "w1": "fd00:75::21"},
    "dual": {"m1": "10.76.0.11,fd00:76::11", "w1": "10.76.0.21,fd00:76::21"},
}


def booted(name: str, directory: pytest.TempPathFactory, bench: Bench, machines: list[Machine]) -> Deployment:
    """Return the cluster, whose master and node booted at the same moment."""
    cluster = Deployment.render(HERE / f"{name}.yaml", directory.mktemp(name), bench, machines)
    booting = [cluster.machine(each, address) for each, address in ADDRESSES[name].items()]
    for machine, running in [(machine, deployment.start_first_boot(machine)) for machine in booting]:
        deployment.finished(running, machine)
    return cluster


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]) -> Iterator[Deployment]:
    """A master and a node that have no IPv4 address."""
    with Bench() as bench:
        yield booted("six", tmp_path_factory, bench, machines)


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]) -> Iterator[Deployment]:
    """A master and a node with both, IPv4 first."""
    with Bench() as bench:
        yield booted("dual", tmp_path_factory, bench, machines)


def internal_addresses(machine: Machine, node: str) -> list[str]:
    addresses = api(machine, "node", node)["status"]["addresses"]
    return [each["address"] for each in addresses if each["type"] == "InternalIP"]


def ranges(machine: Machine, node: str) -> list[str]:
    """Return the Node's ranges for pods, once it has them."""
    return list(until("ranges of pods", lambda: api(machine, "node", node)["spec"].get("podCIDRs", [])))


@pytest.mark.parametrize("name", ["m1", "w1"])
def test_six_has_the_files_of_the_review_tree(six: Deployment, name: str) -> None:
    machine = six.machines[name]
    assert tree.differences(six.review(name), machine.root) == []
    assert machine.check(["ip", "-4", "address", "show", "dev", "eth0"]) == ""
    assert machine.check(["cat", "/proc/sys/net/ipv6/conf/all/forwarding"]).strip() == "1"


def test_six_published_every_object(six: Deployment) -> None:
    found = objects.live(six, six.machines["m1"])
    rendered = six.published()
    assert len(found) == len(rendered) > 25
    assert [objects.missing(each, found[objects.key(each)]) for each in rendered] == [[]] * len(rendered)


def test_every_probe_of_six_answers(six: Deployment) -> None:
    m1 = six.machines["m1"]
    asked = []
    for manifest in sorted((m1.root / "etc/kubernetes/manifests").iterdir()):
        (container,) = yaml.safe_load(manifest.read_text(encoding="utf-8"))["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        get = container["livenessProbe"]["httpGet"]
        host = f"[{get['host']}]" if ":" in get["host"] else get["host"]
        asked.append(http_status(m1, f"{get['scheme'].lower()}://{host}:{ports[get['port']]}{get['path']}"))
    assert asked == ["200"] * 4


def test_six_is_used_over_ipv6(six: Deployment) -> None:
    w1, admin = six.machines["w1"], six.outputs / "admin.conf"
    assert "https://[fd00:75::100]:6443" in admin.read_text()
    nodes = w1.check(["kubectl", "--kubeconfig", admin, "get", "nodes", "-o", "name"])
    assert nodes.split() == ["node/m1", "node/w1"]
    own = ["--server", "https://[fd00:75::11]:6443"]
    assert "node/m1" in w1.check(["kubectl", "--kubeconfig", admin, *own, "get", "nodes", "-o", "name"])
    status, out, err = run(w1, "wait", six.cluster_file)
    assert (status, out.count("Ready")) == (0, 2), err
    assert "https://[fd00:75::100]:6443 answers" in err


def test_six_gives_services_and_pods_addresses_of_ipv6(six: Deployment) -> None:
    m1 = six.machines["m1"]
    assert api(m1, "service", "kubernetes")["spec"]["clusterIPs"] == ["fd00:96::1"]
    assert api(m1, "service", "kube-dns", "-n", "kube-system")["spec"]["clusterIPs"] == ["fd00:96::a"]
    assert internal_addresses(m1, "w1") == ["fd00:75::21"]
    (pods,) = ranges(m1, "w1")
    assert ip_network(pods).subnet_of(ip_network("fd00:244::/56"))


def test_a_snapshot_comes_over_ipv6(six: Deployment) -> None:
    path = six.directory / "etcd.db"
    status, out, err = run(six.machines["w1"], "etcd", "snapshot", six.cluster_file, path)
    assert status == 0, err
    assert "from https://[fd00:75::11]:2379, revision " in out


@pytest.mark.parametrize("name", ["m1", "w1"])
def test_dual_has_both_addresses_and_a_range_of_each_network(dual: Deployment, name: str) -> None:
    m1 = dual.machines["m1"]
    assert tree.differences(dual.review(name), dual.machines[name].root) == []
    assert internal_addresses(m1, name) == ADDRESSES["dual"][name].split(",")
    four, six = map(ip_network, ranges(m1, name))
    assert (four.prefixlen, six.prefixlen) == (25, 66)
    assert four.subnet_of(ip_network("10.244.0.0/16"))
    assert six.subnet_of(ip_network("fd00:244::/56"))


def test_dual_is_used_over_both_families(dual: Deployment) -> None:
    w1, admin = dual.machines["w1"], dual.outputs / "admin.conf"
    for host in ("10.76.0.11", "[fd00:76::11]"):
        command = ["kubectl", "--kubeconfig", admin, "--server", f"https://{host}:6443", "get", "nodes", "-o", "name"]
        assert w1.check(command).split() == ["node/m1", "node/w1"], host


def test_a_service_of_dual_gets_both_families(dual: Deployment) -> None:
    m1 = dual.machines["m1"]
    spec = '{"spec": {"ipFamilyPolicy": "RequireDualStack"}}'
    kubectl(m1, "create", "service", "clusterip", "both", "--tcp=80")
    kubectl(m1, "patch", "service", "both", "--patch", spec)
    service = api(m1, "service", "both")["spec"]
    assert service["ipFamilies"] == ["IPv4", "IPv6"]
    first, second = service["clusterIPs"]
    assert first.startswith("10.96.")
    assert second.startswith("fd00:96::")
    assert api(m1, "service", "kubernetes")["spec"]["clusterIPs"] == ["10.96.0.1"]


def test_kubeadm_reads_the_configuration_of_dual(dual: Deployment) -> None:
    m1 = dual.machines["m1"]
    listed = m1.check(["kubeadm", "certs", "check-expiration", "--kubeconfig", f"/{deployment.ADMIN}"], chroot=True)
    assert "apiserver-etcd-client" in listed
