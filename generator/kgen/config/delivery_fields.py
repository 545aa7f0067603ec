"""Keys of a machine that only its delivery needs: its network card, its numbers, its network configuration.

They go into NoCloud seeds and to the tools that start machines, never into a payload. ``network:`` is cloud-init's
network-config, version 2: https://docs.cloud-init.io/en/latest/reference/network-config-format-v2.html. cloud-init's
schema and the rest of ``rules/machine_networks.py`` check it.
"""

from __future__ import annotations

from kgen.config import network, values
from kgen.config.cloud_init_fields import AsCloudInit
from kgen.reader.kinds import Integer, Text
from kgen.reader.objects import Field, Foreign, Object

_VERSION_1 = Foreign("that is version 1: write version 2, which has ethernets, bonds, bridges and vlans")
NETWORK_CONFIG = Object(
    (
        Field("version", Integer(2, 2, "2"), "the version of the format: 2", is_required=True),
        Field("renderer", AsCloudInit(), "what sets the network up: networkd or NetworkManager"),
        Field("ethernets", AsCloudInit(), "network cards: match, addresses, routes, nameservers, dhcp4"),
        Field("bonds", AsCloudInit(), "bonds of network cards"),
        Field("bridges", AsCloudInit(), "bridges"),
        Field("vlans", AsCloudInit(), "VLANs: id and link"),
    ),
    what="a mapping of cloud-init's network-config",
    example="write network: {version: 2, ethernets: {eth0: {addresses: [10.0.0.11/24]}}}",
    foreign={
        "network": Foreign("write what is below it one level higher"),
        "config": _VERSION_1,
        "interfaces": Foreign("write ethernets, and give each a name"),
    },
    is_plain=True,
)
NETWORK_FIELD = Field(
    "network",
    NETWORK_CONFIG,
    "cloud-init's network-config v2, for seeds; without it the machine uses DHCP",
)
HARDWARE = (
    Field(
        "mac",
        Text(network.mac_address, "a MAC address", is_unambiguous=True),
        "the MAC address of the network card that the machine starts with",
    ),
    Field("serial", Text(values.one_line, "a serial number"), "the serial number in the machine's SMBIOS"),
    Field("uuid", Text(values.machine_uuid, "a UUID", is_unambiguous=True), "the UUID in the machine's SMBIOS"),
)
"""What tells a machine from others before it has an operating system."""
