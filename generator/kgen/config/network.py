"""Addresses, networks and host names of the cluster file: text → value, or why it is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from kgen.config.kinds import BAD, Invalid, Kind, Schema, Text, is_null
from kgen.config.model import Address, Network
from kgen.config.report import Report, shown
from kgen.config.tree import Node, Scalar, Sequence
from kgen.config.values import SUBDOMAIN, subdomain

_URL = re.compile(r"(https?|socks5)://[^\s/?#@]+(:[^\s/?#@]*)?(@[^\s/?#@]+)?/?")
_BLANKS = re.compile(r"\s")


def address(text: str) -> Address:
    """Return an address a machine can have on a network."""
    try:
        value = ip_address(text)
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
            raise Invalid("K205", f"{text} is {what}", "give the address other machines reach it at")
    return value


def _address_hint(text: str) -> str:
    if "/" in text:
        return "give the address without a prefix length"
    if "," in text:
        return "give one address"
    return (
        "give one IPv4 or IPv6 address, not a name" if re.search(r"[g-zG-Z]", text) else "give one IPv4 or IPv6 address"
    )


def network(text: str) -> Network:
    """Return one network in CIDR notation."""
    if "," in text:
        families = {":" in part for part in text.split(",")}
        if len(families) == 2:
            raise Invalid("K402", "two address families are not supported yet", "give one network")
        raise Invalid("K206", f"{shown(text)} is more than one network", "give one network")
    if "/" not in text:
        raise Invalid("K206", f"{shown(text)} is not a network", "give address and prefix length, like 10.96.0.0/12")
    if not re.fullmatch(r"[0-9a-fA-F.:]+/[0-9]{1,3}", text):
        raise Invalid("K206", f"{shown(text)} is not a network", "give address and prefix length, like 10.96.0.0/12")
    try:
        value = ip_network(text, strict=False)
    except ValueError:
        raise Invalid(
            "K206", f"{shown(text)} is not a network", "give address and prefix length, like 10.96.0.0/12"
        ) from None
    if ip_address(text.split("/")[0]) != value.network_address:
        raise Invalid("K207", f"{text} is an address inside a network", f"write {value}")
    return value


def endpoint(text: str) -> tuple[str, int | None]:
    """Return host and port of ``controlPlaneEndpoint``; None where it gives no port."""
    if "://" in text or "/" in text:
        raise Invalid("K208", f"{shown(text)} is more than a host and a port", "write it without scheme and path")
    host, port = _split_port(text)
    if port is not None and not (re.fullmatch(r"[1-9][0-9]{0,4}", port) and int(port) <= 65535):
        raise Invalid("K208", f"{shown(text)} has no valid port", "give a port between 1 and 65535, like host:6443")
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


def proxy_url(text: str) -> str:
    """Return the URL of a proxy; empty: none."""
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
            report.error(node, "K204", f"{len(found)} addresses, but one a family is used", "give one address")
            return BAD
        if len(found) > 1:
            report.error(node, "K402", "two address families are not supported yet", "give one address")
            return BAD
        return found

    def schema(self) -> Schema:
        """Return a string, or an array of strings."""
        return {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1}
