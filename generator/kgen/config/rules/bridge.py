"""Rules about ``networking.plugin: bridge``: a fixed set of machines with a range of pod addresses each.

That no range overlaps the Services' network or a machine's address follows from two rules about ``podSubnet``
(``networks.subnets_do_not_overlap``, ``networks.addresses_are_outside``): every range lies inside of it.
"""

from __future__ import annotations

from itertools import islice

from kgen import names
from kgen.config import pod_ranges
from kgen.config.model import Network
from kgen.config.objects import Draft
from kgen.config.report import Report, shown
from kgen.config.rules.facts import Facts

_SMALLEST_HOST_BITS = 2
"""host-local hands out nothing of a smaller range: network, gateway and broadcast are taken."""


def machines_are_listed(facts: Facts, report: Report) -> None:
    """Routes lead to addresses that are known beforehand."""
    if facts.uses_bridge and facts.pools:
        hint = "list the machines, or use plugin: none and a network plugin that finds its machines (`manifests:`)"
        message = "the plugin bridge routes to machines by their addresses, and a pool's are not known"
        report.error(facts.root.key_at("pools"), "K330", message, hint)


def subnet_is_given(facts: Facts, report: Report) -> None:
    """The ranges are parts of ``podSubnet``."""
    if facts.uses_bridge and not facts.networking.is_given("podSubnet"):
        message = "the plugin bridge needs the pods' network"
        report.error(facts.networking.node, "K331", message, "give podSubnet, like 10.244.0.0/16", key="podSubnet")


def machines_have_addresses(facts: Facts, report: Report) -> None:
    """The others' pods are reached by way of their machine; that masters need one is another rule."""
    if not facts.uses_bridge:
        return
    for machine in facts.machines:
        if machine.get("role") != "master" and not machine.is_given("address"):
            hint = "give the address the other machines reach it at"
            report.error(machine.node, "K332", "the plugin bridge needs every machine's address", hint, key="address")


def ranges_are_apart(facts: Facts, report: Report) -> None:
    """Every range lies inside of ``podSubnet``, is large enough for a pod and overlaps no other."""
    subnet = facts.pod_subnet
    for machine, network in _given(facts):
        place = machine.at("podCIDR")
        if network.max_prefixlen - network.prefixlen < _SMALLEST_HOST_BITS:
            hint = f"a machine usually has a /{pod_ranges.PREFIX_LENGTH[network.version]}"
            report.error(place, "K334", f"{network} has no room for pods", hint)
        elif subnet is not None and not _is_inside(network, subnet):
            message = f"{network} is not a part of networking.podSubnet {subnet}"
            report.error(place, "K333", message, "use a part of it")
    before: tuple[Draft, Network] | None = None  # of those that begin before, the one that reaches farthest
    for machine, network in sorted(_given(facts), key=lambda pair: (pair[1].version, pair[1])):
        if before is not None and before[1].version == network.version and before[1].overlaps(network):
            other, here = sorted((before[0], machine), key=lambda draft: draft.at("podCIDR").line)
            line = other.at("podCIDR").line
            message = f"{here.get('podCIDR')} overlaps {other.get('podCIDR')}, the range of {other.get('name')}"
            report.error(here.at("podCIDR"), "K335", message, f"that stands in line {line}; use ranges apart")
        if before is None or _end(before[1]) < _end(network):
            before = machine, network


def ranges_are_enough(facts: Facts, report: Report) -> None:
    """There is a range left for every machine that is given none."""
    subnet = facts.pod_subnet
    if not facts.uses_bridge or subnet is None:
        return
    taken = [network for _, network in _given(facts) if _is_inside(network, subnet)]
    wanting = sum(not machine.is_given("podCIDR") for machine in facts.machines)
    count = sum(1 for _ in islice(pod_ranges.free(subnet, taken), wanting))
    if count < wanting:
        length = pod_ranges.PREFIX_LENGTH[subnet.version]
        message = f"{subnet} has room for {count} ranges of /{length}, {wanting} machines need one"
        hint = "use a shorter prefix, or give the machines smaller ranges with `podCIDR:`"
        report.error(facts.networking.at("podSubnet"), "K336", message, hint)


def ranges_are_used(facts: Facts, report: Report) -> None:
    """Only the bridge's ranges are kgen's to assign."""
    if facts.uses_bridge:
        return
    for machine in facts.machines:
        if machine.is_given("podCIDR"):
            hint = "remove it, or use networking.plugin: bridge"
            report.error(machine.key_at("podCIDR"), "K337", "podCIDR is for the plugin bridge", hint)


def controller_allocates_nothing(facts: Facts, report: Report) -> None:
    """Two plans would contradict each other."""
    if not facts.uses_bridge:
        return
    for argument in facts.root.section("controllerManager").drafts("extraArgs"):
        value = argument.get("value")
        if argument.get("name") == names.ALLOCATE_NODE_CIDRS and value not in (None, "false"):
            message = f"with the plugin bridge kgen assigns the ranges, {shown(value)} would make others"
            report.error(argument.at("value"), "K338", message, "remove the argument")


def _given(facts: Facts) -> list[tuple[Draft, Network]]:
    """Return the machines that say their range."""
    if not facts.uses_bridge:
        return []
    found = ((machine, machine.get("podCIDR")) for machine in facts.machines)
    return [(machine, network) for machine, network in found if network is not None]


def _end(network: Network) -> tuple[int, int]:
    return network.version, int(network.broadcast_address)


def _is_inside(network: Network, subnet: Network) -> bool:
    return network.version == subnet.version and network.subnet_of(subnet)  # type: ignore[arg-type]
