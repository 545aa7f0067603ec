import os
import subprocess
from dataclasses import replace
from ipaddress import ip_address
from pathlib import PurePosixPath

import pytest
from tests.clusters import three_masters

from kgen.errors import InputError
from kgen.lab import endpoint, network
from kgen.model import Cluster, File
from kgen.model import Endpoint as ControlPlaneEndpoint


def cluster(host: str, port: int = 6443) -> Cluster:
    return replace(three_masters(), control_plane_endpoint=ControlPlaneEndpoint(host, port))


def test_a_machines_address_needs_nothing():
    assert endpoint.plan(cluster("10.0.0.12")) == endpoint.Endpoint()


def test_the_first_master_has_an_address_that_is_no_machines():
    found = endpoint.plan(cluster("10.0.0.100"))
    assert (str(found.address), found.holder, found.vendor_data) == ("10.0.0.100", "m1", b"")
    assert "m1 has the address 10.0.0.100" in found.notice


def test_an_address_that_a_static_pod_names_is_the_pods():
    own = cluster("10.0.0.100", 443)
    pod = File(PurePosixPath("/etc/kubernetes/manifests/kube-vip.yaml"), "value: 10.0.0.100", 0o600)
    found = endpoint.plan(replace(own, machines=tuple(replace(it, files=(pod,)) for it in own.machines)))
    assert (str(found.address), found.holder) == ("10.0.0.100", "")


def test_the_endpoints_address_is_nobody_elses():
    machines = cluster("10.0.0.1").machines
    segment = network.plan(machines, ip_address("10.0.0.1"))
    assert (str(segment.gateway), str(segment.dns)) == ("10.0.0.2", "10.0.0.3")
    assert str(next(network.free_addresses(segment, machines, ip_address("10.0.0.1")))) == "10.0.0.4"
    assert str(network.plan(machines, ip_address("10.0.1.1")).cidr) == "10.0.0.0/23"


def test_a_name_means_the_masters_on_every_machine(tmp_path):
    found = endpoint.plan(cluster("api.example.com"))
    assert (found.address, found.holder) == (None, "")
    first, _, script = found.vendor_data.decode().partition("\n")
    assert first == "#cloud-boothook"
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    for _ in range(2):  # it runs at each boot
        subprocess.run(["sh", "-c", script.replace("/etc/hosts", str(hosts))], check=True, env=dict(os.environ))
    lines = [line.partition(" #")[0] for line in hosts.read_text().splitlines()]
    assert lines == ["127.0.0.1 localhost", *(f"10.0.0.1{number} api.example.com" for number in (1, 2, 3))]


@pytest.mark.parametrize("host", ["api.example.com", "10.0.0.100"])
def test_a_port_at_which_nothing_listens_is_refused(host):
    with pytest.raises(InputError, match="nothing listens at controlPlaneEndpoint") as failure:
        endpoint.plan(cluster(host, 443))
    assert "port 6443" in failure.value.hint


def test_a_master_with_its_own_network_gets_no_address():
    own = cluster("10.0.0.100")
    with pytest.raises(InputError, match=r"cannot give m1 the address 10\.0\.0\.100"):
        endpoint.plan(replace(own, machines=tuple(replace(it, network={"version": 2}) for it in own.machines)))


def test_hosts_that_cloud_init_writes_are_not_ours():
    own = cluster("api.example.com")
    machines = tuple(replace(it, cloud_init={"manage_etc_hosts": True}) for it in own.machines)
    with pytest.raises(InputError, match="cloud-init manages /etc/hosts"):
        endpoint.plan(replace(own, machines=machines))
