"""Rules about proxies: kubeadm's preflight warnings HTTPProxy and HTTPProxyCIDR, reported at render.

Hosts match ``noProxy`` as in Go, in which all components are written: https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from kgen.config.rules.facts import Facts
from kgen.reader.report import Report


def cluster_is_not_proxied(facts: Facts, report: Report) -> None:
    """Warn if a proxy would be used for an address of the cluster."""
    proxies = facts.root.section("httpProxy")
    if facts.root.is_given("httpProxy") and proxies.get("httpsProxy"):
        excepted = [entry.strip().lower() for entry in (proxies.get("noProxy") or "").split(",") if entry.strip()]
        for what, host, port in _hosts(facts):
            if not any(_covers(entry, host, port) for entry in excepted):
                message = f"{what} {host} would be reached through the proxy"
                report.warn(proxies.at("httpsProxy"), "K910", message, f"add {host} or its network to noProxy")


def _hosts(facts: Facts) -> Iterator[tuple[str, str, int | None]]:
    """Yield what is called, its host, and the port where there is one."""
    endpoint = facts.root.get("controlPlaneEndpoint")
    if endpoint:
        yield "controlPlaneEndpoint", endpoint[0].lower(), endpoint[1]
    for machine, address in facts.addressed:
        if machine.get("role") == "master":
            yield f"the master {machine.get('name')}", str(address), None
    for url, _ in facts.root.section("etcd").section("external").items("endpoints"):
        parts = urlsplit(url)
        yield "etcd at", str(parts.hostname), parts.port
    what = {"serviceSubnet": "Services", "podSubnet": "pods"}
    for key, network in facts.subnets:
        if network.num_addresses > 1:
            yield f"the network of {what[key]}", str(network[1]), None


def _covers(entry: str, host: str, port: int | None) -> bool:
    """Return whether one entry of ``noProxy`` takes the host away from the proxy."""
    if entry == "*":
        return True
    name, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and ":" not in name:
        if port is not None and int(number) != port:
            return False
        entry = name
    try:
        address = ip_address(host)
    except ValueError:
        return host == entry or host.endswith("." + entry.removeprefix("*").removeprefix("."))
    try:
        return address in ip_network(entry, strict=False)
    except ValueError:
        return False
