"""Rules about ``networking.plugin: bridge``: a fixed set of machines with a range of pod addresses each.

Every range is inside ``podSubnet``. So ``networks.subnets_do_not_overlap`` and ``networks.addresses_are_outside`` also
keep the ranges apart from the Services' network and the machines' addresses.
"""

from __future__ import annotations

from itertools import islice

from kgen.config import pod_ranges
from kgen.config.rules.facts import Facts
from kgen.facts import names
from kgen.model import Network
from kgen.reader.objects import Draft
from kgen.reader.report import Report, shown

_SMALLEST_HOST_BITS = 2
"""A smaller range has no address for host-local to assign: network, gateway and broadcast take all of them."""


def machines_are_listed(facts: Facts, report: Report) -> None:
    """The bridge has no pools: routes lead to addresses that are known at render."""
    if facts.uses_bridge and facts.pools:
        hint = "list the machines, or use plugin: none and a network plugin that finds its machines (`manifests:`)"
        message = (
            "the plugin bridge needs the address of every machine, but the addresses of a pool's machines are not known"
        )
        report.error(facts.root.key_at("pools"), "K330", message, hint)


def subnet_is_given(facts: Facts, report: Report) -> None:
    """The bridge needs ``podSubnet``, which it divides among the machines."""
    if facts.uses_bridge and not facts.networking.is_given("podSubnet"):
        message = "the plugin bridge needs networking.podSubnet"
        report.error(facts.networking.node, "K331", message, "give podSubnet, like 10.244.0.0/16", key="podSubnet")


def subnet_has_one_family(facts: Facts, report: Report) -> None:
    """The bridge gives each machine one range."""
    if facts.uses_bridge and len(facts.pod_subnets) > 1:
        message = "the plugin bridge gives pods addresses of one family, because each machine has one range"
        hint = "give one network, or bring a plugin with two families by `manifests:`"
        report.error(facts.networking.at("podSubnet"), "K339", message, hint)


def machines_have_addresses(facts: Facts, report: Report) -> None:
    """Every node has an address, to which other machines route. Another rule covers masters."""
    if not facts.uses_bridge:
        return
    for machine in facts.machines:
        if machine.get("role") != "master" and not machine.is_given("address"):
            hint = "give the address at which the other machines reach it"
            report.error(
                machine.node, "K332", "the plugin bridge needs the address of every machine", hint, key="address"
            )


def ranges_are_apart(facts: Facts, report: Report) -> None:
    """Every range lies inside of ``podSubnet``, is large enough for a pod and overlaps no other."""
    subnet = _subnet(facts)
    for machine, network in _given(facts):
        place = machine.at("podCIDR")
        if network.max_prefixlen - network.prefixlen < _SMALLEST_HOST_BITS:
            hint = f"a machine usually has a /{pod_ranges.PREFIX_LENGTH[network.version]}"
            report.error(place, "K334", f"{network} has no room for pods", hint)
        elif subnet is not None and not _is_inside(network, subnet):
            message = f"{network} is not inside networking.podSubnet {subnet}"
            report.error(place, "K333", message, f"give a range inside {subnet}")
    before: tuple[Draft, Network] | None = None  # of the earlier ranges, the one with the highest last address
    for machine, network in sorted(_given(facts), key=lambda pair: (pair[1].version, pair[1])):
        if before is not None and before[1].version == network.version and before[1].overlaps(network):
            other, here = sorted((before[0], machine), key=lambda draft: draft.at("podCIDR").line)
            line = other.at("podCIDR").line
            message = f"{here.get('podCIDR')} overlaps {other.get('podCIDR')}, the range of {other.get('name')}"
            report.error(
                here.at("podCIDR"),
                "K335",
                message,
                f"the other range is in line {line}; give ranges that do not overlap",
            )
        if before is None or _end(before[1]) < _end(network):
            before = machine, network


def ranges_are_enough(facts: Facts, report: Report) -> None:
    """``podSubnet`` has a free range for every machine without ``podCIDR``."""
    subnet = _subnet(facts)
    if not facts.uses_bridge or subnet is None:
        return
    taken = [network for _, network in _given(facts) if _is_inside(network, subnet)]
    wanting = sum(not machine.is_given("podCIDR") for machine in facts.machines)
    count = sum(1 for _ in islice(pod_ranges.free(subnet, taken), wanting))
    if count < wanting:
        length = pod_ranges.PREFIX_LENGTH[subnet.version]
        message = f"{subnet} has room for {count} ranges of /{length}, but {wanting} machines need one"
        hint = "use a shorter prefix, or give the machines smaller ranges with `podCIDR:`"
        report.error(facts.networking.at("podSubnet"), "K336", message, hint)


def ranges_are_used(facts: Facts, report: Report) -> None:
    """``podCIDR`` requires the bridge: other plugins assign ranges themselves."""
    if facts.uses_bridge:
        return
    for machine in facts.machines:
        if machine.is_given("podCIDR"):
            hint = "remove it: other plugins assign ranges themselves. Or set networking.plugin: bridge"
            report.error(
                machine.key_at("podCIDR"), "K337", "podCIDR has no effect without networking.plugin: bridge", hint
            )


def controller_allocates_nothing(facts: Facts, report: Report) -> None:
    """The controller manager assigns no ranges when kgen does."""
    if not facts.uses_bridge:
        return
    for argument in facts.root.section("controllerManager").drafts("extraArgs"):
        value = argument.get("value")
        if argument.get("name") == names.ALLOCATE_NODE_CIDRS and value not in (None, "false"):
            message = f"allocate-node-cidrs is {shown(value)}, but with the plugin bridge kgen assigns the pod ranges"
            report.error(argument.at("value"), "K338", message, "remove the argument")


def _subnet(facts: Facts) -> Network | None:
    return facts.pod_subnets[0] if facts.pod_subnets else None


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
