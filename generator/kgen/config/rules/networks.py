"""Rules about networks: sizes, overlaps, address families.

Limits of the sizes: what kubeadm's ``config validate`` accepts, and kube-apiserver's for Services.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from kgen import names
from kgen.config.model import Network
from kgen.config.objects import Draft
from kgen.config.pod_ranges import PREFIX_LENGTH
from kgen.config.report import Report, shown
from kgen.config.rules.facts import Facts
from kgen.config.tree import Node

_SERVICE_ADDRESSES = 10
_SERVICE_HOST_BITS = 20
_NODE_BITS = 16  # kubeadm's limit for the number of per-node networks
_EXAMPLE_SUBNETS = {4: "10.96.0.0/12", 6: "fd00:10:96::/112"}


def service_subnet_size(facts: Facts, report: Report) -> None:
    """Services need some addresses, and the API server keeps a bitmap of all of them."""
    network = facts.service_subnet
    if network is None:
        return
    place = facts.networking.at("serviceSubnet")
    if network.num_addresses < _SERVICE_ADDRESSES:
        message = f"{network} has {network.num_addresses} addresses, Services need at least {_SERVICE_ADDRESSES}"
        report.error(place, "K309", message, "use a shorter prefix, like /24")
    elif network.max_prefixlen - network.prefixlen > _SERVICE_HOST_BITS:
        shortest = network.max_prefixlen - _SERVICE_HOST_BITS
        message = f"{network} is larger than the API server allows"
        report.error(place, "K309", message, f"use a prefix of /{shortest} or longer")


def pod_subnet_is_divided(facts: Facts, report: Report) -> None:
    """Every node gets a network of its own out of the pods' network; with the bridge not from the controller."""
    network = facts.pod_subnet
    arguments = {item.get("name"): (item.get("value"), item) for item in _controller_arguments(facts)}
    if network is None or facts.uses_bridge or arguments.get(names.ALLOCATE_NODE_CIDRS, ("",))[0] == "false":
        return
    mask, place = PREFIX_LENGTH[network.version], facts.networking.at("podSubnet")
    for name in ("node-cidr-mask-size", f"node-cidr-mask-size-ipv{network.version}"):
        if name in arguments:
            value, item = arguments[name]
            if value is None:
                return
            if not re.fullmatch("[1-9][0-9]{0,2}", value) or int(value) > network.max_prefixlen:
                message = f"{name} {shown(value)} is not the length of a prefix"
                report.error(item.at("value"), "K310", message, f"give a number up to {network.max_prefixlen}")
                return
            mask = int(value)
    _check_division(facts, report, network, mask, place)


def _check_division(facts: Facts, report: Report, network: Network, mask: int, place: Node) -> None:
    hint = f"each node gets a /{mask}; use a shorter prefix, or node-cidr-mask-size of controllerManager.extraArgs"
    if mask < network.prefixlen:
        report.error(place, "K310", f"{network} is smaller than the network of one node", hint)
    elif mask - network.prefixlen > _NODE_BITS:
        message = f"{network} holds more than {2**_NODE_BITS} networks of /{mask}"
        report.error(place, "K310", message, f"use /{mask - _NODE_BITS} or longer, or another node-cidr-mask-size")
    elif len(facts.machines) > 2 ** (mask - network.prefixlen):
        count = 2 ** (mask - network.prefixlen)
        message = f"{network} holds {count} node networks, {len(facts.machines)} machines are listed"
        report.error(place, "K311", message, hint)


def _controller_arguments(facts: Facts) -> list[Draft]:
    return list(facts.root.section("controllerManager").drafts("extraArgs"))


def subnets_do_not_overlap(facts: Facts, report: Report) -> None:
    """An address belongs to a Service or to a pod, not to both."""
    service, pod = facts.service_subnet, facts.pod_subnet
    if service is not None and pod is not None and service.version == pod.version and service.overlaps(pod):
        default = "" if facts.networking.is_given("serviceSubnet") else " (the default)"
        message = f"{pod} overlaps networking.serviceSubnet {service}{default}"
        report.error(facts.networking.at("podSubnet"), "K307", message, "use networks that have no address in common")


def addresses_are_outside(facts: Facts, report: Report) -> None:
    """A machine's address inside a cluster network would be unreachable from pods."""
    networks = [
        (name, network, int(network.network_address), int(network.broadcast_address))
        for name, network in (("serviceSubnet", facts.service_subnet), ("podSubnet", facts.pod_subnet))
        if network is not None
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


def one_address_family(facts: Facts, report: Report) -> None:
    """Machines, Services and pods use the family of the first master's address."""
    masters = [address for machine, address in facts.addressed if machine.get("role") == "master"]
    if not masters:
        return
    family = masters[0].version
    reason = f"the first master's address is IPv{family}"
    for machine, address in facts.addressed:
        if address.version != family:
            report.error(machine.at("address"), "K312", f"{address} is IPv{address.version}, {reason}", _FAMILY)
    for name in ("serviceSubnet", "podSubnet"):
        network = facts.networking.get(name)
        if network is not None and network.version != family:
            default = "" if facts.networking.is_given(name) else ", the default,"
            hint = f"give networking.{name}, like {_EXAMPLE_SUBNETS[family]}" if default else _FAMILY
            message = f"{network}{default} is IPv{network.version}, {reason}"
            report.error(facts.networking.at(name), "K312", message, hint, key=_missing(facts, name) if default else "")
    endpoint = facts.root.get("controlPlaneEndpoint")
    if endpoint and _is_address(endpoint[0]) and ip_address(endpoint[0]).version != family:
        report.error(
            facts.root.at("controlPlaneEndpoint"), "K312", f"{endpoint[0]} is not IPv{family}: {reason}", _FAMILY
        )


def _missing(facts: Facts, name: str) -> str:
    return name if facts.root.is_given("networking") else "networking"


_FAMILY = "two address families are not supported yet: use one for everything"


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
