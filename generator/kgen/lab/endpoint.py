"""The control-plane endpoint in a lab, where no DNS server and no load balancer knows it."""

from __future__ import annotations

import ipaddress
import shlex
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from kgen.errors import InputError
from kgen.lab.network import first_ipv4
from kgen.model import Cluster

_COPY = "use a copy of the cluster file"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a lab does so that the endpoint answers. ``notice`` says it to the user; "" if the lab does nothing.

    ``address`` is not free for others. The machine ``holder`` gets it beside its own, unless ``holder`` is "".
    ``vendor_data`` is for every machine: it is the provider's part of a seed, and the lab is the provider.
    """

    address: IPv4Address | IPv6Address | None = None
    holder: str = ""
    vendor_data: bytes = b""
    notice: str = ""


def plan(cluster: Cluster) -> Endpoint:
    """Return what the lab of ``cluster`` does about its endpoint.

    - The address of a machine, or one that a static pod or a file of a master names (kube-vip): nothing.
    - Another address: the first master has it.
    - A name: all machines know the masters' addresses by it.

    Raises:
        InputError: nothing in a lab would answer at the endpoint.
    """
    endpoint = cluster.endpoint
    if endpoint.host in {str(address) for machine in cluster.machines for address in machine.addresses}:
        return Endpoint()
    address = _address(endpoint.host)
    if address and any(endpoint.host in file.content for master in cluster.masters for file in master.files):
        return Endpoint(address, notice=f"{address} answers when the masters' own pods or files bring it up")
    master = cluster.masters[0]
    if endpoint.port != master.bind_port:
        hint = f"{_COPY} with the port {master.bind_port} in controlPlaneEndpoint"
        message = f"nothing listens at controlPlaneEndpoint {endpoint} in a lab, which has no load balancer"
        raise InputError(message, hint)
    if address:
        if master.network:
            hint = f"add {address} to its network:, or {_COPY} with a master's address as endpoint"
            raise InputError(f"the lab cannot give {master.name} the address {address}: it has its own network:", hint)
        notice = f"{master.name} has the address {address} of controlPlaneEndpoint, because a lab has no load balancer"
        return Endpoint(address, master.name, notice=notice)
    if own := [it.name for it in cluster.documents if it.cloud_init.get("manage_etc_hosts")]:
        hint = f"{_COPY} without manage_etc_hosts, or with a master's address as endpoint"
        raise InputError(f"the lab cannot make {endpoint.host} known to {own[0]}: cloud-init manages /etc/hosts", hint)
    notice = f"{endpoint.host} means the masters in /etc/hosts of each machine, because a lab has no DNS of its own"
    return Endpoint(vendor_data=_hosts(cluster), notice=notice)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _hosts(cluster: Cluster) -> bytes:
    """Return a script that cloud-init runs at each boot before it looks at the document (a boothook)."""
    lines = [f"{first_ipv4(master)} {cluster.endpoint.host} # kgen lab" for master in cluster.masters]
    words = " ".join(shlex.quote(line) for line in lines)
    script = f"grep -q '# kgen lab$' /etc/hosts || printf '%s\\n' {words} >>/etc/hosts"
    return f"#cloud-boothook\n#!/bin/sh\n{script}\n".encode()
