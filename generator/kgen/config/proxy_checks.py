"""The checks with which kube-proxy refuses a configuration.

Source: ``Validate`` (``k8s.io/kubernetes/pkg/proxy/apis/config/validation``, v1.37.2). tests/facts compares the
verdicts with those of kube-proxy's own package.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network

from kgen.config import kubelet_checks
from kgen.config.effective import Configuration
from kgen.config.kubelet_checks import Found, Wrong
from kgen.config.quantities import seconds
from kgen.facts import versions
from kgen.reader.report import one_of, shown

_UP_TO = 2**31 - 1
RANGES: Mapping[str, tuple[float, float]] = {
    "clientConnection.burst": (0, _UP_TO),
    "conntrack.maxPerCore": (0, _UP_TO),
    "conntrack.min": (0, _UP_TO),
    "iptables.masqueradeBit": (0, 31),
    "logging.verbosity": (0, _UP_TO),
    "oomScoreAdj": (-1000, 1000),
}
_NOT_NEGATIVE = (
    "conntrack.tcpCloseWaitTimeout",
    "conntrack.tcpEstablishedTimeout",
    "conntrack.udpStreamTimeout",
    "conntrack.udpTimeout",
)
_IPVS_NOT_NEGATIVE = ("ipvs.tcpFinTimeout", "ipvs.tcpTimeout", "ipvs.udpTimeout")
_MODES = ("iptables", "ipvs", "nftables")
_LOCAL_MODES = ("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")
_KEYWORDS = ("primary", "localhost", "all")
"""What ``nodePortAddresses`` takes besides networks; older versions take the first only, and only alone."""


def _modes(config: Configuration) -> Found:
    mode = config.get("mode") or "iptables"
    if mode not in _MODES:
        yield Wrong(("mode",), f"{shown(mode)} is not one of {one_of(_MODES)}")
    elif mode == "ipvs" and config.is_off("KubeProxyIPVS"):
        yield Wrong(("mode",), "the mode ipvs needs the feature gate KubeProxyIPVS, which is off", "use nftables")
    local = config.get("detectLocalMode") or "ClusterCIDR"
    if local not in _LOCAL_MODES:
        yield Wrong(("detectLocalMode",), f"{shown(local)} is not one of {one_of(_LOCAL_MODES)}")
    for needing, field in (("BridgeInterface", "bridgeInterface"), ("InterfaceNamePrefix", "interfaceNamePrefix")):
        if local == needing and not config.get(f"detectLocal.{field}"):
            hint = f"add detectLocal: {{{field}: …}}"
            yield Wrong(("detectLocalMode",), f"{needing} needs detectLocal.{field}", hint)


def _limits(config: Configuration) -> Found:
    yield from kubelet_checks.ranges(config, RANGES)
    mode = config.get("mode") or "iptables"
    if mode == "nftables":
        yield from kubelet_checks.ranges(config, {"nftables.masqueradeBit": (0, 31)})
    for field in (*_NOT_NEGATIVE, *(_IPVS_NOT_NEGATIVE if mode == "ipvs" else ())):
        if (seconds(config.get(field) or "0") or 0) < 0:
            yield Wrong(tuple(field.split(".")), f"{config.get(field)} is negative", "give a duration, or 0")
    if (seconds(config.get("configSyncPeriod")) or 0) <= 0:
        yield Wrong(("configSyncPeriod",), f"{config.get('configSyncPeriod')} is out of range", "give more than 0")
    least, period = (seconds(config.get(f"{mode}.{field}") or "0") or 0 for field in ("minSyncPeriod", "syncPeriod"))
    if period <= 0:
        yield Wrong((mode, "syncPeriod"), f"{config.get(f'{mode}.syncPeriod')} is out of range", "give more than 0")
    if least < 0:
        yield Wrong((mode, "minSyncPeriod"), f"{config.get(f'{mode}.minSyncPeriod')} is negative", "give 0 or more")
    elif least > period > 0:
        message = f"{config.get(f'{mode}.minSyncPeriod')} is more than syncPeriod {config.get(f'{mode}.syncPeriod')}"
        path = config.first_given(f"{mode}.minSyncPeriod", f"{mode}.syncPeriod")
        yield Wrong(path, message, f"give a longer {mode}.syncPeriod")


def _addresses(config: Configuration) -> Found:
    address = config.get("bindAddress")
    if not _is(ip_address, address):
        yield Wrong(("bindAddress",), f"{shown(address)} is not an IP address", "give one, like 0.0.0.0 or ::")
    for field in ("healthzBindAddress", "metricsBindAddress"):
        value = config.get(field)
        if value and not _is_host_port(value):
            yield Wrong((field,), f"{shown(value)} is not an address with a port", "write it like 127.0.0.1:10249")
    yield from _node_port_addresses(config)
    for index, entry in enumerate((config.get("ipvs.excludeCIDRs") or []) if config.get("mode") == "ipvs" else []):
        if not _is_network(entry):
            path = ("ipvs", "excludeCIDRs", index)
            yield Wrong(path, f"{shown(entry)} is not a network", "write it like 10.0.0.0/8")


def _node_port_addresses(config: Configuration) -> Found:
    keywords = _KEYWORDS if versions.has_node_port_keywords(config.programs.version) else _KEYWORDS[:1]
    entries = config.get("nodePortAddresses") or []
    for index, entry in enumerate(entries):
        path = ("nodePortAddresses", index)
        if entry not in keywords:
            if not _is_network(entry):
                hint = f"write a network like 10.0.0.0/8, or one of {one_of(keywords)}"
                yield Wrong(path, f"{shown(entry)} is not a network", hint)
        elif entry in entries[:index]:
            yield Wrong(path, f"{entry} is given twice", "keep one of them")
        elif keywords != _KEYWORDS and len(entries) > 1:
            yield Wrong(path, f"{entry} is given with other entries", f"remove {entry}, or every other entry")


def _is(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return "%" not in text


def _is_network(text: str) -> bool:
    return "/" in text and text.rpartition("/")[2].isdigit() and _is(lambda word: ip_network(word, strict=False), text)


def _is_host_port(text: str) -> bool:
    """Return whether kube-proxy takes the text; it adds its own port to an address alone."""
    match = re.fullmatch(r"\[([^\[\]]*)\]:([0-9]+)|([^:\[\]]*):([0-9]+)", text)
    if match is None:
        return _is(ip_address, text)
    host, port = match[1] or match[3] or "", match[2] or match[4]
    return _is(ip_address, host) and 1 <= int(port) <= 65535


def _cluster_cidr(config: Configuration) -> Found:
    """The networks of pods, by which kube-proxy tells local traffic."""
    given = config.get("clusterCIDR")
    if not given or (config.get("detectLocalMode") or "ClusterCIDR") != "ClusterCIDR":
        return
    networks = given.split(",")
    good = all(_is_network(network) for network in networks)
    if not good or len(networks) > 2 or (len(networks) == 2 and len({":" in network for network in networks}) == 1):
        hint = "give one network, or one of each address family with a comma in between"
        yield Wrong(("clusterCIDR",), f"{shown(given)} is not the network of the pods", hint)


def check(config: Configuration) -> Found:
    """Yield everything for which kube-proxy would refuse the configuration."""
    for each in (_modes, _limits, _addresses, _cluster_cidr, kubelet_checks.logging):
        yield from each(config)
