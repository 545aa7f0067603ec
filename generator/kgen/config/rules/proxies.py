"""Rules about proxies: kubeadm's preflight warnings HTTPProxy and HTTPProxyCIDR, made where the proxies are given.

Matching is Go's, as all components do it: https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from kgen.config.report import Report
from kgen.config.rules.facts import Facts


def cluster_is_not_proxied(facts: Facts, report: Report) -> None:
    """What belongs to the cluster is reached directly."""
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
    for name, network in (("Services", facts.service_subnet), ("pods", facts.pod_subnet)):
        if network is not None and network.num_addresses > 1:
            yield f"the network of {name}", str(network[1]), None


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
