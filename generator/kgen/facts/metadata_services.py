"""The table of metadata services: the addresses at which machines ask their cloud about themselves.

Somebody who reaches such an address gets the machine's user-data, and on most clouds credentials of its role.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address


@dataclass(frozen=True, slots=True)
class MetadataService:
    """A cloud's metadata service. ``provider`` is its name in the cluster file, empty if it has none there."""

    title: str
    provider: str
    addresses: tuple[str, ...]
    source: str


_COMMON = "169.254.169.254"
SERVICES = (
    MetadataService(
        "Amazon EC2", "ec2", (_COMMON, "fd00:ec2::254"), "EC2 user guide, Access instance metadata for an EC2 instance"
    ),
    # 168.63.129.16 is the WireServer, which gives out the configuration of extensions with their secrets.
    MetadataService(
        "Microsoft Azure", "azure", (_COMMON, "168.63.129.16"), "Azure documentation, What is IP address 168.63.129.16?"
    ),
    MetadataService(
        "OpenStack Nova", "openstack", (_COMMON, "fe80::a9fe:a9fe"), "Nova administrator guide, Metadata service"
    ),
    MetadataService(
        "Google Compute Engine", "gce", (_COMMON, "fd20:ce::254"), "Compute Engine documentation, About VM metadata"
    ),
    MetadataService("DigitalOcean", "digitalocean", (_COMMON,), "DigitalOcean API reference, Droplet metadata"),
    MetadataService("Hetzner Cloud", "hetzner", (_COMMON,), "Hetzner Cloud API reference, Server metadata"),
    MetadataService(
        "Akamai (Linode)",
        "akamai",
        (_COMMON, "fd00:a9fe:a9fe::1", "fe80::a9fe:a9fe"),
        "Linode API reference, Metadata service",
    ),
    MetadataService(
        "Oracle Cloud Infrastructure",
        "oracle",
        (_COMMON, "fd00:c1::a9fe:a9fe"),
        "OCI documentation, Getting instance metadata",
    ),
    MetadataService(
        "Alibaba Cloud", "", ("100.100.100.200", "fd00:100::100:200"), "ECS user guide, Access instance metadata"
    ),
    MetadataService("Tencent Cloud", "", ("169.254.0.23",), "CVM documentation, Viewing instance metadata"),
    MetadataService("Scaleway", "", ("169.254.42.42", "fd00:42::42"), "cloud-init documentation, Scaleway datasource"),
)
"""Every service whose address is the same for all machines. The virtual router of CloudStack is not such a service."""

PROVIDERS = frozenset(row.provider for row in SERVICES if row.provider)
"""The providers, by their names in the cluster file, whose metadata service is in the table."""


def addresses(version: int) -> list[IPv4Address | IPv6Address]:
    """Return every address of one version of IP, each once, in the order of the addresses."""
    found = {ip_address(text) for row in SERVICES for text in row.addresses}
    return sorted((address for address in found if address.version == version), key=int)
