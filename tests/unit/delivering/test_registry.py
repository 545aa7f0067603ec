"""Who may take which document."""

from ipaddress import ip_address

import pytest

from kgen.delivering.registry import LATER_SECONDS, Entry, Registry, Target

MAC, UUID = "52:54:00:00:00:01", "4c4c4544-0051-3010-8054-b7c04f4d3432"
M1 = Target("m1", (ip_address("10.0.0.11"), ip_address("fd00::11")), mac=MAC, serial="ABC1", uuid=UUID)
W1 = Target("w1", mac="52:54:00:00:00:02")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events() -> list:
    return []


@pytest.fixture
def registry(clock, events) -> Registry:
    return Registry([M1, W1], on_event=events.append, clock=clock)


def admitted(registry, name, document="user-data", address="10.0.0.11", token=None):
    return registry.admit(name, registry.entries[name].token if token is None else token, document, address)


def test_a_token_is_good_for_its_own_machine_only(registry, events):
    assert admitted(registry, "m1").target is M1
    for token in (registry.entries["w1"].token, "", "x", "é", registry.entries["m1"].token[:-1]):
        assert admitted(registry, "m1", token=token) == "unknown"
    assert registry.admit("nobody", "", "user-data", "10.0.0.11") == "unknown"
    assert not any(entry.token in event.text for event in events for entry in registry.entries.values())


def test_each_server_has_other_tokens():
    tokens = {Registry([M1]).entries["m1"].token for _ in range(10)}
    assert len(tokens) == 10
    assert all(len(token) >= 32 for token in tokens)


def test_a_machine_with_an_address_is_served_there_only(registry, events):
    assert admitted(registry, "m1", address="10.0.0.12") == "address"
    assert events[-1].is_refusal
    assert "10.0.0.11" in events[-1].text
    for address in ("10.0.0.11", "::ffff:10.0.0.11", "fd00::11", "fd00::11%eth0"):
        assert isinstance(admitted(registry, "m1", address=address), Entry)
    anywhere = Registry([M1], any_address=True)
    assert isinstance(admitted(anywhere, "m1", address="192.0.2.1"), Entry)


def test_a_machine_without_an_address_is_served_where_it_asked_first(registry):
    assert admitted(registry, "w1", "meta-data", "10.0.0.50").target is W1
    assert admitted(registry, "w1", "user-data", "10.0.0.51") == "address"
    assert admitted(registry, "w1", "user-data", "10.0.0.50").target is W1


def test_user_data_is_taken_once_and_the_rest_a_while_longer(registry, clock):
    entry = admitted(registry, "m1")
    registry.broke_off(entry, "user-data", "10.0.0.11")
    assert admitted(registry, "m1") is entry
    registry.took(entry, "user-data", 10, "10.0.0.11")
    assert admitted(registry, "m1") == "taken"
    for document in ("vendor-data", "meta-data", "network-config", "first-boot"):
        assert admitted(registry, "m1", document) is entry
    clock.now += LATER_SECONDS + 1
    assert admitted(registry, "m1", "meta-data") == "taken"
    assert admitted(registry, "m1", "first-boot") is entry


def test_stages_only_advance(registry, events):
    entry = registry.entries["m1"]
    registry.loader(entry, "10.0.0.11")
    registry.took(entry, "meta-data", 1, "10.0.0.11")
    registry.took(entry, "user-data", 1, "10.0.0.11")
    registry.took(entry, "vendor-data", 1, "10.0.0.11")
    registry.ready("m1")
    registry.ready("m1")
    registry.reported(entry, "done", "10.0.0.11", is_done=True)
    registry.ready("nobody")
    stages = [event.stage for event in events]
    assert stages == ["loader", "seed", "user-data taken", "user-data taken", "Ready", "Ready"]


def test_all_are_served_when_vendor_data_was_read_or_is_not_read(registry, clock):
    for name in ("m1", "w1"):
        assert not registry.all_are_served
        registry.took(registry.entries[name], "user-data", 1, "")
    assert not registry.all_are_served
    registry.took(registry.entries["m1"], "vendor-data", 1, "")
    clock.now += 31
    assert registry.all_are_served


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ({"macs": [MAC.upper()]}, "m1"),
        ({"macs": ["", MAC, "52:54:00:00:00:77"]}, "m1"),
        ({"serial": "abc1"}, "m1"),
        ({"uuid": UUID.upper()}, "m1"),
        ({"macs": ["52:54:00:00:00:02"], "serial": "whatever"}, "w1"),
        ({"macs": [MAC], "serial": "ABC2"}, None),  # a card that was moved into another machine
        ({"macs": [MAC, "52:54:00:00:00:02"], "serial": "ABC1"}, None),  # the cards of two machines
        ({"macs": ["52:54:00:00:00:77"]}, None),
        ({"macs": ["", ""]}, None),
        ({}, None),
    ],
)
def test_a_machine_is_found_by_its_numbers(registry, numbers, name):
    found = registry.find(**numbers)
    assert (found and found.target.name) == name


def test_the_same_refusal_is_reported_every_ten_seconds(registry, events, clock):
    for _ in range(50):
        registry.stranger("knocks", "192.0.2.1")
    registry.stranger("knocks", "192.0.2.2")
    assert len(events) == 2
    clock.now += 10
    registry.stranger("knocks", "192.0.2.1")
    assert len(events) == 3


def test_nobody_fills_the_log_with_many_different_refusals(registry, events, clock):
    for number in range(500):
        registry.unlisted(f"a machine with the serial {number}", "192.0.2.1")
    assert len(events) == 21
    assert events[-1].text == "asks too often: its refusals of the next seconds are not shown"
    registry.refuse(registry.entries["m1"], "asked from elsewhere", "192.0.2.2")
    assert events[-1].address == "192.0.2.2"
    clock.now += 10
    registry.stranger("knocks", "192.0.2.1")
    assert events[-1].text == "knocks"


def test_representations_have_no_token(registry):
    assert not any(entry.token in repr(entry) for entry in registry.entries.values())
