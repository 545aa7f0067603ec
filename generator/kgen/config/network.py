"""Addresses, networks and host names of the cluster file: each function parses a text, or raises Invalid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from kgen.config.values import SUBDOMAIN, subdomain
from kgen.model import Address, Network
from kgen.reader.kinds import BAD, Invalid, Kind, Schema, Text, is_null
from kgen.reader.report import Report, shown
from kgen.reader.tree import Node, Scalar, Sequence

_URL = re.compile(r"(https?|socks5)://[^\s/?#@]+(:[^\s/?#@]*)?(@[^\s/?#@]+)?/?")
_ETCD_URL = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[a-z0-9.-]+):([1-9][0-9]{0,4})")
_BLANKS = re.compile(r"\s")
_MAC = re.compile(r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}")


def go_address(text: str) -> Address:
    """Return an IP address as Go reads it: ``::ffff:10.1.2.3`` is the IPv4 address 10.1.2.3.

    Raises:
        ValueError: the text is not an IP address.
    """
    value = ip_address(text)
    return value.ipv4_mapped or value if isinstance(value, IPv6Address) else value


def address(text: str) -> Address:
    """Return an address a machine can have on a network."""
    try:
        value = go_address(text)
    except ValueError:
        raise Invalid("K204", f"{shown(text)} is not an IP address", _address_hint(text)) from None
    if text.find("%") >= 0:
        raise Invalid("K204", f"{shown(text)} has a zone", "give the address without %…")
    unusable = {
        "the unspecified address": value.is_unspecified,
        "a loopback address": value.is_loopback,
        "a multicast address": value.is_multicast,
        "a link-local address": value.is_link_local,
        "the broadcast address": value.version == 4 and int(value) == 2**32 - 1,
    }
    for what, applies in unusable.items():
        if applies:
            raise Invalid("K205", f"{text} is {what}", "give the address at which other machines reach it")
    return value


def _address_hint(text: str) -> str:
    if "/" in text:
        return "give the address without a prefix length"
    if "," in text:
        return "give one address"
    return (
        "give one IPv4 or IPv6 address, not a name" if re.search(r"[g-zG-Z]", text) else "give one IPv4 or IPv6 address"
    )


def mac_address(text: str) -> str:
    """Return the MAC address of a network card, in lower case with colons."""
    if not _MAC.fullmatch(text):
        raise Invalid(
            "K234", f"{shown(text)} is not a MAC address", "write six pairs of digits, like 52:54:00:12:34:56"
        )
    value = text.lower().replace("-", ":")
    if int(value[:2], 16) & 1 or value == "00:00:00:00:00:00":
        raise Invalid("K234", f"{text} is not the address of one network card", "give the card's own address")
    return value


def network(text: str) -> Network:
    """Return one network in CIDR notation, without an address inside it."""
    value = network_of(text)
    if ip_address(text.split("/")[0]) != value.network_address:
        raise Invalid("K207", f"{text} is an address inside a network", f"write {value}")
    return value


def network_of(text: str) -> Network:
    """Return the network in CIDR notation, or the network of an address with a prefix length."""
    if "," in text:
        raise Invalid("K206", f"{shown(text)} is more than one network", "give one network")
    if "/" not in text:
        raise Invalid("K206", f"{shown(text)} is not a network", "give address and prefix length, like 10.96.0.0/12")
    if not re.fullmatch(r"[0-9a-fA-F.:]+/[0-9]{1,3}", text):
        raise Invalid("K206", f"{shown(text)} is not a network", "give address and prefix length, like 10.96.0.0/12")
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise Invalid(
            "K206", f"{shown(text)} is not a network", "give address and prefix length, like 10.96.0.0/12"
        ) from None


def networks_of(text: str) -> tuple[Network, ...]:
    """Return one network, or one for each address family with a comma between them, as kubeadm takes them."""
    found = tuple(network_of(part) for part in text.split(","))
    if len({each.version for each in found}) < len(found):
        message = f"{shown(text)} has {len(found)} networks, but not of different address families"
        raise Invalid("K206", message, "give one network, or an IPv4 and an IPv6 network")
    return found


def endpoint(text: str) -> tuple[str, int | None]:
    """Return host and port of ``controlPlaneEndpoint``; the port is None if it gives none."""
    if "://" in text or "/" in text:
        raise Invalid("K208", f"{shown(text)} is not just a host and a port", "write it without scheme and path")
    host, port = _split_port(text)
    if port is not None and not (re.fullmatch(r"[1-9][0-9]{0,4}", port) and int(port) <= 65535):
        raise Invalid("K208", f"{shown(text)} has no valid port", "give a port between 1 and 65535, like host:6443")
    if host.lower().rstrip(".") in ("localhost", "localhost.localdomain"):
        hint = "give the address or DNS name at which all machines reach the masters"
        raise Invalid("K205", f"{host} means another machine on each machine", hint)
    try:
        return str(address(host)), int(port) if port else None
    except Invalid as invalid:
        if invalid.code == "K205":
            raise
    if re.fullmatch(r"[0-9.]+", host) or ":" in host or not SUBDOMAIN.fullmatch(host) or len(host) > 253:
        hint = (
            f"write {text.lower()}" if text != text.lower() else "write host or host:port; an IPv6 address in brackets"
        )
        raise Invalid("K208", f"{shown(text)} is not a host with an optional port", hint)
    return host, int(port) if port else None


def etcd_endpoint(text: str) -> str:
    """Return the URL at which a member of etcd serves clients, as written: scheme, host and port."""
    parts = _ETCD_URL.fullmatch(text)
    if parts and int(parts[2]) <= 65535:
        host = parts[1]
        try:
            if host.startswith("["):
                IPv6Address(host[1:-1])
            elif re.fullmatch(r"[0-9.]+", host):
                ip_address(host)
            elif not SUBDOMAIN.fullmatch(host):
                raise ValueError(host)
            return text
        except ValueError:
            pass
    hint = "write https://host:port, like https://10.0.0.31:2379; an IPv6 address in brackets"
    raise Invalid("K236", f"{shown(text)} is not the URL of an etcd member", hint)


def _split_port(text: str) -> tuple[str, str | None]:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", text)
    if bracketed:
        return bracketed[1], bracketed[2]
    if text.count(":") == 1:
        host, port = text.split(":")
        return host, port
    return text, None


def dns_domain(text: str) -> str:
    """Return a domain for Services."""
    try:
        return subdomain(text)
    except Invalid as invalid:
        raise Invalid("K212", f"{shown(text)} is not a DNS domain", invalid.hint) from None


def subject_alternative_name(text: str) -> str:
    """Return a DNS name (``*.`` in front allowed) or an address, as written."""
    try:
        ip_address(text)
        is_address = "%" not in text
    except ValueError:
        is_address = False
    name = text.removeprefix("*.")
    if is_address or (len(name) <= 253 and SUBDOMAIN.fullmatch(name) and not re.fullmatch(r"[0-9.]+", text)):
        return text
    hint = (
        f"write {text.lower()}"
        if SUBDOMAIN.fullmatch(name.lower()) and text != text.lower()
        else ("give a DNS name, *.name or an address; no scheme, port or prefix length")
    )
    raise Invalid("K213", f"{shown(text)} is neither a DNS name nor an address", hint)


def lower_case_name(text: str) -> str:
    """Return a name or address in lower case, as kubeadm writes the API server's."""
    return subject_alternative_name(text.lower())


def proxy_url(text: str) -> str:
    """Return the URL of a proxy; empty means no proxy."""
    if not text or _URL.fullmatch(text):
        return text
    hint = "write http://host:port" if "://" not in text else "write scheme, host and port, nothing behind them"
    raise Invalid("K221", f"{shown(re.sub('//[^/]*@', '//…@', text))} is not a proxy's URL", hint)


def no_proxy(text: str) -> str:
    """Return a list of hosts, domains and networks with commas between them."""
    if _BLANKS.search(text):
        raise Invalid("K221", f"{shown(text)} has blanks", "separate the entries with commas only")
    return text


_ADDRESS = Text(address, "an IP address", is_unambiguous=True)


@dataclass(frozen=True)
class Addresses(Kind):
    """The addresses of a machine: a text, or a list with one address per family; the value is a tuple."""

    what: str = "an IP address"

    def read(self, node: Node, report: Report) -> Any:
        """Return the addresses."""
        if isinstance(node, Scalar) and not is_null(node):
            value = _ADDRESS.read(node, report)
            return BAD if value is BAD else (value,)
        if not isinstance(node, Sequence) or not node.items:
            return self.wrong_type(node, report)
        found = tuple(_ADDRESS.read(item, report) for item in node.items)
        if BAD in found:
            return BAD
        if len({value.version for value in found}) < len(found):
            message = f"there are {len(found)} addresses, but not of different address families"
            report.error(node, "K204", message, "give one address, or an IPv4 and an IPv6 address")
            return BAD
        return found

    def schema(self) -> Schema:
        """Return a string, or an array of strings."""
        return {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1, "maxItems": 2}
