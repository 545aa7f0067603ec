from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from kgen.config import pod_ranges

SUBNET = ip_network("10.244.0.0/20")
PARTS = [part for length in range(20, 29) for part in SUBNET.subnets(new_prefix=length)]


def test_ranges_come_in_order_and_of_one_size():
    assert [str(network) for network in pod_ranges.free(ip_network("10.0.0.0/22"), [])] == [
        "10.0.0.0/24",
        "10.0.1.0/24",
        "10.0.2.0/24",
        "10.0.3.0/24",
    ]
    first, second = (next(pod_ranges.free(ip_network(text), [])) for text in ("fd00:1::/48", "::/40"))
    assert (str(first), str(second)) == ("fd00:1::/64", "::/64")


def test_a_network_smaller_than_a_range_has_none():
    assert list(pod_ranges.free(ip_network("10.0.0.0/25"), [])) == []
    assert list(pod_ranges.free(ip_network("10.0.0.0/24"), [])) == [ip_network("10.0.0.0/24")]


@given(st.lists(st.sampled_from(PARTS), max_size=8))
def test_every_range_that_overlaps_nothing_is_found(taken):
    free = list(pod_ranges.free(SUBNET, taken))
    assert free == [part for part in SUBNET.subnets(new_prefix=24) if not any(part.overlaps(each) for each in taken)]
