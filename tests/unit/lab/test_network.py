from ipaddress import IPv4Address, IPv4Network, ip_address

import pytest

from kgen.errors import InputError
from kgen.lab import network
from kgen.lab.network import Segment
from kgen.model import Machine


def machine(name: str, *addresses: str, role="master", **more) -> Machine:
    return Machine(name, role, tuple(ip_address(it) for it in addresses), **more)


def test_segment_is_the_24_of_the_addresses():
    segment = network.plan([machine("m1", "10.0.0.11"), machine("w1", "10.0.0.21", role="node")])
    assert segment == Segment(IPv4Network("10.0.0.0/24"), IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"))


def test_segment_grows_until_it_holds_all_addresses():
    assert network.plan([machine("m1", "10.0.1.11"), machine("m2", "10.0.2.11")]).cidr == IPv4Network("10.0.0.0/22")


def test_gateway_and_dns_are_no_machines_addresses():
    segment = network.plan([machine("m1", "10.0.0.1"), machine("m2", "10.0.0.3")])
    assert (str(segment.gateway), str(segment.dns)) == ("10.0.0.2", "10.0.0.4")


@pytest.mark.parametrize("route", [{"to": "default", "via": "10.0.0.254"}, {"to": "0.0.0.0/0", "via": "10.0.0.254"}])
def test_gateway_is_the_one_of_a_machines_own_network(route):
    own = {"version": 2, "ethernets": {"lan0": {"addresses": ["10.0.0.11/24"], "routes": [route]}}}
    segment = network.plan([machine("m1", "10.0.0.11", network=own)])
    assert str(segment.gateway) == "10.0.0.254"
    assert segment.unused not in (segment.gateway, segment.dns)


def test_gateway_outside_the_segment_is_not_taken():
    own = {"version": 2, "ethernets": {"lan0": {"gateway4": "192.168.7.1"}}}
    assert str(network.plan([machine("m1", "10.0.0.11", network=own)]).gateway) == "10.0.0.1"


def test_addresses_without_a_common_network_are_refused():
    with pytest.raises(InputError, match=r"10\.0\.0\.11 and 192\.168\.0\.1 have no common network"):
        network.plan([machine("m1", "10.0.0.11"), machine("m2", "192.168.0.1")])


def test_a_master_needs_an_ipv4_address():
    with pytest.raises(InputError, match="m1 has no IPv4 address"):
        network.plan([machine("m1", "fd00::11")])


def test_free_addresses_are_nobodys():
    machines = [machine("m1", "10.0.0.3"), machine("workers", role="node", is_pool=True)]
    free = network.free_addresses(network.plan(machines), machines)
    assert [str(next(free)) for _ in range(2)] == ["10.0.0.4", "10.0.0.5"]


def test_network_config_has_all_addresses_with_their_prefix():
    segment = network.plan([machine("m1", "10.0.1.11"), machine("m2", "10.0.2.11")])
    (interface,) = network.config(segment, ["10.0.1.11", "fd00::11"], "52:54:00:00:00:01")["ethernets"].values()
    assert interface == {
        "match": {"macaddress": "52:54:00:00:00:01"},
        "addresses": ["10.0.1.11/22", "fd00::11/64"],
        "routes": [{"to": "0.0.0.0/0", "via": "10.0.0.1"}],
        "nameservers": {"addresses": ["10.0.0.2"]},
    }


def test_mac_is_qemus_stable_and_of_one_machine():
    assert network.mac("prod", "m1") == network.mac("prod", "m1")
    assert network.mac("prod", "m1").startswith("52:54:00:")
    assert len({network.mac(cluster, name) for cluster in ("prod", "test") for name in ("m1", "m2")}) == 4
