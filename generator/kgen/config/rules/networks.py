"""Rules about networks: sizes, overlaps, address families.

The limits of sizes are those of kubeadm's ``config validate``, and for Services those of kube-apiserver.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from itertools import product

from kgen.config.pod_ranges import PREFIX_LENGTH
from kgen.config.rules.facts import Facts
from kgen.facts import names
from kgen.model import Address, Network
from kgen.reader.objects import Draft
from kgen.reader.report import Report
from kgen.reader.tree import Node

_SERVICE_ADDRESSES = 10
_SERVICE_HOST_BITS = 20
_NODE_BITS = 16  # kubeadm's limit for the number of per-node networks
_MASK = "node-cidr-mask-size"
_EXAMPLE_SUBNETS = {4: "10.96.0.0/12", 6: "fd00:10:96::/112"}


def service_subnet_size(facts: Facts, report: Report) -> None:
    """The Services' networks have enough addresses, and not more than the API server accepts."""
    place = facts.networking.at("serviceSubnet")
    for network in facts.service_subnets:
        if network.num_addresses < _SERVICE_ADDRESSES:
            message = (
                f"{network} has {network.num_addresses} addresses, but Services need at least {_SERVICE_ADDRESSES}"
            )
            report.error(place, "K309", message, "use a larger network, like a /24")
        elif network.max_prefixlen - network.prefixlen > _SERVICE_HOST_BITS:
            shortest = network.max_prefixlen - _SERVICE_HOST_BITS
            message = f"{network} is larger than the API server accepts"
            report.error(place, "K309", message, f"use a prefix of /{shortest} or longer")


def pod_subnet_is_divided(facts: Facts, report: Report) -> None:
    """The controller manager can divide the pods' networks among the nodes. The bridge has rules of its own."""
    arguments = {item.get("name"): (item.get("value"), item) for item in _controller_arguments(facts)}
    if facts.uses_bridge or arguments.get(names.ALLOCATE_NODE_CIDRS, ("",))[0] == "false":
        return
    if len(facts.pod_subnets) > 1 and _MASK in arguments:
        message = f"kube-controller-manager does not take {_MASK} with two address families"
        hint = f"use {_MASK}-ipv4 and {_MASK}-ipv6"
        report.error(arguments[_MASK][1].at("name"), "K310", message, hint)
        return
    for network in facts.pod_subnets:
        _check_subnet(facts, report, network, arguments)


def _check_subnet(
    facts: Facts, report: Report, network: Network, arguments: Mapping[str | None, tuple[str | None, Draft]]
) -> None:
    place, family = facts.networking.at("podSubnet"), f"{_MASK}-ipv{network.version}"
    masks: dict[str, int] = {}
    for name in (_MASK, family):
        if name in arguments:
            value, item = arguments[name]
            if value is None or not value.isdigit():
                return  # another rule has reported it
            if not 0 < int(value) <= network.max_prefixlen:
                message = f"{name} {value} is not the length of a prefix"
                report.error(item.at("value"), "K310", message, f"give a number up to {network.max_prefixlen}")
                return
            masks[name] = int(value)
    default = PREFIX_LENGTH[network.version]
    mask = masks.get(_MASK, masks.get(family, default))
    read_by_kubeadm = masks.get(family, default)
    if mask != read_by_kubeadm and _is_undivided(network, read_by_kubeadm) and not _is_undivided(network, mask):
        _, item = arguments[_MASK]
        message = f"kubeadm does not read {_MASK} and would refuse {network}"
        report.error(item.at("name"), "K310", message, f"use {family}")
        return
    _check_division(facts, report, network, mask, place)
    _check_pods_of_a_node(facts, report, network, mask)


def _check_pods_of_a_node(facts: Facts, report: Report, network: Network, mask: int) -> None:
    """Warn if a kubelet may run more pods than the range of its Node has addresses."""
    addresses = 2 ** (network.max_prefixlen - mask) - 2  # without the network's own and the bridge's
    for holder in (facts.root, *facts.documents):
        pods = (holder.get("kubelet") or {}).get("maxPods") if holder.is_given("kubelet") else None
        if pods is not None and pods > addresses:
            message = f"maxPods is {pods}, but the range of a Node, a /{mask}, has {addresses} addresses for pods"
            hint = f"use at most {addresses}, or a shorter node-cidr-mask-size-ipv{network.version}"
            report.warn(facts.below("kubelet", "maxPods", holder=holder), "K918", message, hint)


def _is_undivided(network: Network, mask: int) -> bool:
    """Return whether a network cannot be divided into the nodes' networks of this length."""
    return not 0 <= mask - network.prefixlen <= _NODE_BITS


def _check_division(facts: Facts, report: Report, network: Network, mask: int, place: Node) -> None:
    hint = (
        f"each node gets a /{mask}: use a larger podSubnet, or set node-cidr-mask-size-ipv{network.version}"
        " in controllerManager.extraArgs"
    )
    if mask < network.prefixlen:
        report.error(place, "K310", f"{network} is smaller than the network of one node", hint)
    elif mask - network.prefixlen > _NODE_BITS:
        message = f"{network} holds more than {2**_NODE_BITS} networks of /{mask}"
        report.error(
            place,
            "K310",
            message,
            f"use /{mask - _NODE_BITS} or longer, or another node-cidr-mask-size-ipv{network.version}",
        )
    else:
        count = 2 ** (mask - network.prefixlen)
        left = count - len(facts.machines)
        if left < 0:
            message = f"{network} holds {count} node networks, but {len(facts.machines)} machines are listed"
            report.error(place, "K311", message, hint)
        elif left < len(facts.pools):
            message = f"{network} holds {count} node networks: {left or 'none'} left for the machines of the pools"
            report.warn(place, "K916", message, hint)


def _controller_arguments(facts: Facts) -> list[Draft]:
    return list(facts.root.section("controllerManager").drafts("extraArgs"))


def subnets_do_not_overlap(facts: Facts, report: Report) -> None:
    """The networks of Services and pods do not overlap."""
    for service, pod in product(facts.service_subnets, facts.pod_subnets):
        if service.version == pod.version and service.overlaps(pod):
            default = "" if facts.networking.is_given("serviceSubnet") else " (the default)"
            message = f"{pod} overlaps networking.serviceSubnet {service}{default}"
            report.error(
                facts.networking.at("podSubnet"), "K307", message, "use networks that have no address in common"
            )


def addresses_are_outside(facts: Facts, report: Report) -> None:
    """Machines and the endpoint are outside the cluster's networks: pods could not reach them inside."""
    networks = [
        (name, network, int(network.network_address), int(network.broadcast_address)) for name, network in facts.subnets
    ]
    for machine, address in facts.addressed:
        number = int(address)
        for name, network, first, last in networks:
            if first <= number <= last and address.version == network.version:
                report.error(
                    machine.at("address"), "K308", f"{address} is inside networking.{name} {network}", _OUTSIDE
                )
    endpoint = facts.root.get("controlPlaneEndpoint")
    if endpoint and _is_address(endpoint[0]):
        address = ip_address(endpoint[0])
        for name, network, _, _ in networks:
            if address in network:
                message = f"{address} is inside networking.{name} {network}"
                report.error(facts.root.at("controlPlaneEndpoint"), "K308", message, _OUTSIDE)


_OUTSIDE = "machines and load balancers need addresses outside the cluster's own networks"


def address_families(facts: Facts, report: Report) -> None:
    """The first address of every machine, Services and pods have the family of the first master's first address.

    The second family is free: not every machine needs it, and pods or Services may have it alone.
    """
    first = next((addresses for master in facts.masters if (addresses := master.get("address"))), None)
    if not first:
        return
    family = first[0].version
    reason = f"the first master's first address is IPv{family}"
    for machine in facts.machines:
        addresses = machine.get("address")
        if addresses and addresses[0].version != family:
            report.error(
                machine.at("address"), "K312", f"{addresses[0]} is IPv{addresses[0].version}, {reason}", _FAMILY
            )
    services = facts.service_subnets
    if services and services[0].version != family:
        default = "" if facts.networking.is_given("serviceSubnet") else ", the default,"
        hint = f"give networking.serviceSubnet, like {_EXAMPLE_SUBNETS[family]}" if default else _FAMILY
        message = f"{services[0]}{default} is IPv{services[0].version}, {reason}"
        key = ("serviceSubnet" if facts.root.is_given("networking") else "networking") if default else ""
        report.error(facts.networking.at("serviceSubnet"), "K312", message, hint, key=key)
    pods = facts.pod_subnets
    if pods and family not in {network.version for network in pods}:
        message = f"{pods[0]} is IPv{pods[0].version}, {reason}"
        report.error(facts.networking.at("podSubnet"), "K312", message, _FAMILY)
    endpoint = facts.root.get("controlPlaneEndpoint")
    if endpoint and _is_address(endpoint[0]):
        version = ip_address(endpoint[0]).version
        if version not in {address.version for address in first}:
            message = f"{endpoint[0]} is IPv{version}, and the first master has no such address"
            report.error(facts.root.at("controlPlaneEndpoint"), "K312", message, _FAMILY)


def machines_have_both_families(facts: Facts, report: Report) -> None:
    """Warn if Services have a family of which a listed machine has no address: its Node does not have it either."""
    families = {network.version for network in facts.service_subnets}
    for machine in facts.machines if len(families) > 1 else ():
        addresses: tuple[Address, ...] = machine.get("address") or ()
        if len(addresses) == 1:
            lacking = 6 if addresses[0].version == 4 else 4
            message = f"Services have two address families, but {machine.get('name')} has no IPv{lacking} address"
            hint = "give a list of both addresses, or one network in networking.serviceSubnet"
            report.warn(machine.at("address"), "K919", message, hint)


_FAMILY = (
    "put networks and addresses of one family first everywhere;"
    " a second family follows: `address: [10.0.0.11, fd00::11]`, `serviceSubnet: 10.96.0.0/16,fd00:96::/112`"
)


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
