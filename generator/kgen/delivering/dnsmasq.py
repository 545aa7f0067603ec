"""The configuration of dnsmasq that makes machines start iPXE, and iPXE ask `kgen serve` (dnsmasq(8)).

A machine's firmware gets iPXE for its architecture (RFC 4578, RFC 5970) by TFTP or HTTP. iPXE, which sends the DHCP
option 175, gets the URL of its script.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from typing import Literal

from kgen.delivering.registry import Target

Mode = Literal["proxy", "full"]

_LOADERS = "/usr/lib/ipxe"
_BIOS, _EFI = "undionly.kpxe", "ipxe.efi"
_PROXY = f"""\
pxe-service=tag:!ipxe,x86PC,"iPXE",{_BIOS}
pxe-service=tag:!ipxe,BC_EFI,"iPXE",{_EFI}
pxe-service=tag:!ipxe,x86-64_EFI,"iPXE",{_EFI}
"""
_FULL = f"""\
dhcp-match=set:bios,option:client-arch,0
dhcp-match=set:efi,option:client-arch,7
dhcp-match=set:efi,option:client-arch,9
dhcp-match=set:efi-http,option:client-arch,16
dhcp-boot=tag:!ipxe,tag:bios,{_BIOS}
dhcp-boot=tag:!ipxe,tag:efi,{_EFI}
"""


def configuration(mode: Mode, cluster: str, server: IPv4Address, url: str, targets: Iterable[Target]) -> str:
    """Return the text for dnsmasq on this computer, whose address is ``server``; ``url`` is that of kgen serve."""
    role = (
        "beside the DHCP server of the network, which gives the addresses"
        if mode == "proxy"
        else "as the only DHCP server of the network"
    )
    lines = [
        f"# dnsmasq for the cluster {cluster}, {role}.",
        "# Needs Debian's packages dnsmasq-base and ipxe. As root: dnsmasq --no-daemon --conf-file=THIS_FILE",
        "port=0",
        "bind-dynamic",
        f"listen-address={server}",
        "enable-tftp",
        f"tftp-root={_LOADERS}",
        "dhcp-match=set:ipxe,175",
        *(_proxy(server) if mode == "proxy" else _full(server, url, targets)),
        f"dhcp-boot=tag:ipxe,{url}/boot.ipxe,,{server}",  # in proxy mode, iPXE ignores an offer without a server
    ]
    return "\n".join(lines) + "\n"


def _proxy(server: IPv4Address) -> Iterator[str]:
    yield f"dhcp-range={server},proxy"
    yield _PROXY.rstrip()


def _full(server: IPv4Address, url: str, targets: Iterable[Target]) -> Iterator[str]:
    yield "# Without the next line, machines use this computer as their router."
    yield "#dhcp-option=option:router,ADDRESS_OF_THE_ROUTER"
    yield f"dhcp-range={server},static"
    for target in targets:
        addresses = [address for address in target.addresses if isinstance(address, IPv4Address)]
        if target.mac and addresses:
            yield f"dhcp-host={target.mac},{addresses[0]},{target.name}"
        else:
            lacking = " and ".join(name for name, has in (("mac", target.mac), ("address", addresses)) if not has)
            yield f"# {target.name} gets no address: the cluster file gives no {lacking} of it"
    yield _FULL.rstrip()
    yield "dhcp-option-force=tag:!ipxe,tag:efi-http,option:vendor-class,HTTPClient"
    yield f"dhcp-boot=tag:!ipxe,tag:efi-http,{url}/boot/{_EFI}"
