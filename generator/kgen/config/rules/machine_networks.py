"""Rules about ``network:``, ``mac:``, ``serial:`` and ``uuid:`` of machines: what a seed says of a machine's network.

cloud-init's schema says little about values, and a mistake in them shows only as a machine that nobody can reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface
from typing import Any

from kgen.config import network
from kgen.config.rules.cloud_init import place_of
from kgen.config.rules.facts import Facts
from kgen.facts import cloud_init
from kgen.reader.kinds import Invalid
from kgen.reader.objects import Draft
from kgen.reader.report import Report, shown
from kgen.reader.tree import Node

_KINDS = ("ethernets", "bonds", "bridges", "vlans")
_HARDWARE = ("mac", "serial", "uuid")
_DHCP = (True, "yes", "true")

Path = tuple[str | int, ...]


def cloud_init_takes_it(facts: Facts, report: Report) -> None:
    """cloud-init's schema of network-config accepts the values."""
    for holder, config in _configured(facts):
        for path, reason in cloud_init.flaws({"version": 2, **config}, "network_config"):
            hint = "see `Networking config version 2` in cloud-init's reference"
            if reason == "must be of type string":
                hint = f"put it in quotes if it is a text; {hint}"
            report.error(_at(holder, path), "K370", f"cloud-init refuses this: it {reason}", hint)


def addresses_are_whole(facts: Facts, report: Report) -> None:
    """Addresses of interfaces have a prefix length; gateways and name servers are addresses; routes lead somewhere."""
    for holder, config in _configured(facts):
        for path, one in _interfaces(config):
            for number, text in enumerate(_list(one.get("addresses"))):
                if isinstance(text, str) and not _is_interface_address(text):
                    message = f"{shown(text)} is not an address with its prefix length"
                    report.error(_at(holder, (*path, "addresses", number)), "K390", message, "write 10.0.0.11/24")
            for place, text in _plain_addresses(one):
                if isinstance(text, str) and not _is_address(text):
                    message, hint = f"{shown(text)} is not an IP address", "give the address without a prefix length"
                    report.error(_at(holder, (*path, *place)), "K204", message, hint)


def address_is_configured(facts: Facts, report: Report) -> None:
    """The machine gets the address that the cluster knows it by, unless DHCP may give it."""
    for holder, config in _configured(facts):
        if holder not in facts.machines or _has_dhcp(config):
            continue
        configured = {
            ip_interface(text).ip
            for _, one in _interfaces(config)
            for text in _list(one.get("addresses"))
            if isinstance(text, str) and _is_interface_address(text)
        }
        for address in holder.get("address") or ():
            if address not in configured:
                message = f"no interface has {address}, the machine's address, and none uses DHCP"
                report.error(holder.at("network"), "K391", message, f"add {address} with its prefix length")


def interfaces_are_there(facts: Facts, report: Report) -> None:
    """Bonds and bridges consist of interfaces of the configuration, and so does the link of a VLAN."""
    for holder, config in _configured(facts):
        known = {name for kind in _KINDS for name in _dict(config.get(kind))}
        for path, one in _interfaces(config):
            named: list[tuple[Path, Any]]
            named = [(("interfaces", number), name) for number, name in enumerate(_list(one.get("interfaces")))]
            if "link" in one:
                named.append((("link",), one["link"]))
            elif path[0] == "vlans":
                report.error(_at(holder, path), "K392", "a VLAN needs the interface below it", "add link: eth0")
            for place, name in named:
                if isinstance(name, str) and name not in known:
                    hint = f"the configuration has {', '.join(sorted(known))}"
                    report.error(_at(holder, (*path, *place)), "K392", f"there is no interface {shown(name)}", hint)


def card_is_configured(facts: Facts, report: Report) -> None:
    """MAC addresses are valid, and where network cards are chosen by theirs, ``mac`` is one of them."""
    for holder, config in _configured(facts):
        chosen = set()
        for path, one in _interfaces(config):
            text = _dict(one.get("match")).get("macaddress")
            if isinstance(text, str):
                try:
                    chosen.add(network.mac_address(text))
                except Invalid as wrong:
                    report.error(_at(holder, (*path, "match", "macaddress")), wrong.code, wrong.message, wrong.hint)
        mac = holder.get("mac") if holder in facts.machines else None
        if mac and chosen and mac not in chosen:
            message = f"{mac} is none of the network cards below `network`"
            report.error(holder.at("mac"), "K393", message, f"they are {', '.join(sorted(chosen))}")


def hardware_is_unique(facts: Facts, report: Report) -> None:
    """No two machines have the same network card, serial number or UUID."""
    seen: dict[tuple[str, Any], Node] = {}
    for machine in facts.machines:
        for key in _HARDWARE:
            value = machine.get(key)
            if value:
                place = machine.at(key)
                if (key, value) in seen:
                    hint = f"it is already used in line {seen[key, value].line}"
                    report.error(place, "K394", f"{shown(value)} is the {key} of two machines", hint)
                seen.setdefault((key, value), place)


def _configured(facts: Facts) -> Iterator[tuple[Draft, dict[str, Any]]]:
    """Yield each machine or pool that has a network configuration, with it."""
    for holder in facts.documents:
        config = holder.get("network") if holder.is_given("network") else None
        if config:
            yield holder, config


def _interfaces(config: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield path and settings of each interface."""
    for kind in _KINDS:
        for name, one in _dict(config.get(kind)).items():
            if isinstance(one, dict):
                yield (kind, name), one


def _plain_addresses(one: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Yield path and value of what must be an address without a prefix length."""
    for key in ("gateway4", "gateway6"):
        if key in one:
            yield (key,), one[key]
    for number, text in enumerate(_list(_dict(one.get("nameservers")).get("addresses"))):
        yield ("nameservers", "addresses", number), text
    for number, route in enumerate(_list(one.get("routes"))):
        if "via" in _dict(route):
            yield ("routes", number, "via"), route["via"]


def _has_dhcp(config: dict[str, Any]) -> bool:
    return any(one.get(key) in _DHCP for _, one in _interfaces(config) for key in ("dhcp4", "dhcp6"))


def _is_interface_address(text: str) -> bool:
    try:
        ip_interface(text)
    except ValueError:
        return False
    return "/" in text


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _at(holder: Draft, path: Path) -> Node:
    return place_of(holder.at("network"), path)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
