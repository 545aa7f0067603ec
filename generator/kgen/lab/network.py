"""The network of a lab: one IPv4 segment with the machines' own addresses, and a gateway that QEMU provides."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from kgen.errors import InputError
from kgen.model import Address, Machine

_USUAL_PREFIX = 24
_SHORTEST_PREFIX = 8
_MAC_PREFIX = "52:54:00"  # QEMU's
_FAMILY_PREFIX = {4: 24, 6: 64}


@dataclass(frozen=True, slots=True)
class Segment:
    """The segment's range, the gateway to the world, and the server of names behind it."""

    cidr: IPv4Network
    gateway: IPv4Address
    dns: IPv4Address

    @property
    def unused(self) -> IPv4Address:
        """Return an address that is neither the gateway's nor the server's of names."""
        own = (self.gateway, self.dns)
        return next(address for address in map(self.cidr.__getitem__, (-2, -3, -4)) if address not in own)


def plan(machines: Sequence[Machine], endpoint: Address | None = None) -> Segment:
    """Return the smallest segment, at least a /24, that holds the machines' addresses, a gateway and a server of names.

    ``endpoint`` is the control plane's address, if it is none of a machine's. It is in the segment, too.

    The gateway is the one that a machine's own ``network:`` names, if it names one on the segment.

    Raises:
        InputError: a master has no IPv4 address, or the addresses are too far apart.
    """
    for machine in machines:
        if machine.role == "master" and not _ipv4(machine):
            hint = "QEMU's gateway knows IPv4 only: give the master an IPv4 address beside its IPv6 address"
            raise InputError(f"{machine.name} has no IPv4 address, which a lab needs", hint)
    taken = _taken(machines, endpoint)
    cidr = IPv4Network(f"{min(taken)}/{_USUAL_PREFIX}", strict=False)
    while not all(address in cidr for address in taken):
        if cidr.prefixlen == _SHORTEST_PREFIX:
            first, last = min(taken), max(taken)
            hint = "a lab has one network: use a copy of the cluster file with addresses of one range"
            raise InputError(f"the addresses {first} and {last} have no common network", hint)
        cidr = cidr.supernet()
    own = [gateway for machine in machines for gateway in _gateways(machine.network) if gateway in cidr]
    gateway = own[0] if own else next(_free(cidr, taken))
    return Segment(cidr, gateway, next(_free(cidr, taken | {gateway})))


def free_addresses(
    segment: Segment, machines: Sequence[Machine], endpoint: Address | None = None
) -> Iterator[IPv4Address]:
    """Yield the segment's free addresses, for machines whose address the cluster file does not say."""
    taken = _taken(machines, endpoint)
    return _free(segment.cidr, taken | {segment.gateway, segment.dns})


def first_ipv4(machine: Machine) -> IPv4Address | None:
    """Return the first IPv4 address that the cluster file gives the machine."""
    return next(iter(_ipv4(machine)), None)


def mac(cluster: str, name: str) -> str:
    """Return the MAC address of a machine that has none in the cluster file. It never changes."""
    digest = hashlib.sha256(f"{cluster}/{name}".encode()).hexdigest()
    return ":".join((_MAC_PREFIX, digest[:2], digest[2:4], digest[4:6]))


def config(segment: Segment, addresses: Sequence[str], mac_address: str, name: str = "lab0") -> dict[str, Any]:
    """Return cloud-init's network-config of a machine that has no ``network:`` of its own."""
    with_prefix = []
    for text in addresses:
        address = ipaddress.ip_address(text)
        prefix = segment.cidr.prefixlen if address in segment.cidr else _FAMILY_PREFIX[address.version]
        with_prefix.append(f"{address}/{prefix}")
    return {
        "version": 2,
        "ethernets": {
            name: {
                "match": {"macaddress": mac_address},
                "addresses": with_prefix,
                "routes": [{"to": "0.0.0.0/0", "via": str(segment.gateway)}],
                "nameservers": {"addresses": [str(segment.dns)]},
            }
        },
    }


def _taken(machines: Sequence[Machine], endpoint: Address | None) -> set[IPv4Address]:
    own = {endpoint} if isinstance(endpoint, IPv4Address) else set()
    return own | {address for machine in machines for address in _ipv4(machine)}


def _ipv4(machine: Machine) -> list[IPv4Address]:
    return [address for address in machine.addresses if isinstance(address, IPv4Address)]


def _free(cidr: IPv4Network, taken: Collection[IPv4Address]) -> Iterator[IPv4Address]:
    return (address for address in cidr.hosts() if address not in taken)


def _gateways(network: Mapping[str, Any]) -> Iterator[IPv4Address]:
    """Yield the gateways of default routes in a network-config v2."""
    for kind in ("ethernets", "bonds", "vlans", "bridges"):
        for interface in (network.get(kind) or {}).values():
            ways = [interface.get("gateway4")]
            ways += [
                route.get("via")
                for route in interface.get("routes") or ()
                if route.get("to") in ("0.0.0.0/0", "default")
            ]
            for way in ways:
                try:
                    yield IPv4Address(way)
                except ValueError:
                    continue
