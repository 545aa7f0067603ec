"""Rules about machines and pools: names, roles, addresses, ports."""

from __future__ import annotations

from kgen import names
from kgen.config.labels import kubelet_may_set
from kgen.config.objects import Draft
from kgen.config.report import Report
from kgen.config.rules.facts import Facts
from kgen.config.tree import Mapping, Node

_MOST_MASTERS = 5  # more answer more slowly and survive no more than is likely: https://etcd.io/docs/, FAQ
_TAKEN_PORTS = {
    names.ETCD_CLIENT_PORT: "etcd's clients",
    names.ETCD_PEER_PORT: "etcd's peers",
    names.ETCD_METRICS_PORT: "etcd's metrics",
    names.CONTROLLER_MANAGER_PORT: "kube-controller-manager",
    names.SCHEDULER_PORT: "kube-scheduler",
    names.KUBELET_PORT: "the kubelet",
    names.KUBELET_HEALTHZ_PORT: "the kubelet's health",
    10249: "kube-proxy's metrics",
    10256: "kube-proxy's health",
}


def number_of_masters(facts: Facts, report: Report) -> None:
    """A stacked etcd has one, three or five members."""
    count = len(facts.masters)
    place = facts.root.key_at("machines")
    if facts.has_unread_roles:
        return
    if count == 0:
        report.error(place, "K301", "no machine has role: master", "give at least one machine role: master")
    elif count > _MOST_MASTERS:
        report.error(place, "K303", f"{count} masters are too many members for etcd", "use 3 or 5 masters")
    elif count % 2 == 0:
        hint = f"use {count - 1} or {count + 1}: an even number survives no more failures than one less"
        report.error(place, "K302", f"{count} masters make an even number of etcd members", hint)


def endpoint_of_several_masters(facts: Facts, report: Report) -> None:
    """Several masters need an address that stands for all of them."""
    if len(facts.masters) < 2:
        return
    if not facts.root.is_given("controlPlaneEndpoint"):
        message = f"{len(facts.masters)} masters need a controlPlaneEndpoint"
        hint = "give the DNS name or address of a load balancer or virtual IP before them"
        report.error(facts.root.node, "K306", message, hint, key="controlPlaneEndpoint")
        return
    endpoint = facts.root.get("controlPlaneEndpoint")
    for master, address in facts.addressed:
        if endpoint and endpoint[0] == str(address) and master.get("role") == "master":
            message = f"{address} is the address of {master.get('name')} alone: the cluster depends on that master"
            hint = "give the DNS name or address of a load balancer or virtual IP"
            report.warn(facts.root.at("controlPlaneEndpoint"), "K905", message, hint)


def masters_have_addresses(facts: Facts, report: Report) -> None:
    """The certificates and the etcd members of a master need its address beforehand."""
    for master in facts.masters:
        if not master.is_given("address"):
            hint = "give the address other machines reach it at"
            report.error(master.node, "K316", "a master needs an address", hint, key="address")


def names_are_unique(facts: Facts, report: Report) -> None:
    """Machines and pools share one namespace."""
    seen: dict[str, Node] = {}
    for entry in facts.documents:
        name = entry.get("name")
        if name is None:
            continue
        place = entry.at("name")
        if name in seen:
            hint = f"it stands in line {seen[name].line} already; machines and pools share their names"
            report.error(place, "K304", f"the name {name} is used twice", hint)
        seen.setdefault(name, place)


def addresses_are_unique(facts: Facts, report: Report) -> None:
    """No two machines have the same address."""
    seen: dict[object, Node] = {}
    for machine, address in facts.addressed:
        place = machine.at("address")
        if address in seen:
            hint = f"it stands in line {seen[address].line} already"
            report.error(place, "K305", f"the address {address} is used twice", hint)
        seen.setdefault(address, place)


def pools_are_nodes(facts: Facts, report: Report) -> None:
    """A master has an identity of its own, so it cannot be one of many."""
    for pool in facts.pools:
        if pool.get("role") == "master":
            hint = "list masters below machines:, one entry each"
            report.error(pool.at("role"), "K313", "a pool cannot be of masters", hint)


def labels_of_pools(facts: Facts, report: Report) -> None:
    """A pool's machines label themselves, and a kubelet may not set every label."""
    for pool in facts.pools:
        for key in pool.get("labels") or ():
            if not kubelet_may_set(key):
                hint = "use a domain of your own; such labels are for listed machines"
                report.error(_label_place(pool, key), "K314", f"a kubelet may not set {key} itself", hint)


def _label_place(entry: Draft, key: str) -> Node:
    node = entry.at("labels")
    return node.entries[key][0] if isinstance(node, Mapping) else node


def only_masters_have_endpoints(facts: Facts, report: Report) -> None:
    """Nodes run no API server."""
    for machine in facts.machines:
        if machine.get("role") == "node" and machine.is_given("localAPIEndpoint"):
            place = machine.key_at("localAPIEndpoint")
            report.error(place, "K315", "a node has no API server", "remove it, or use role: master")


def ports_are_free(facts: Facts, report: Report) -> None:
    """The API server's port is not one that others on the machine listen on."""
    for holder in (facts.root, *facts.machines):
        if not holder.is_given("localAPIEndpoint"):
            continue
        endpoint = holder.section("localAPIEndpoint")
        port = endpoint.get("bindPort")
        if port in _TAKEN_PORTS:
            hint = f"use another one, like {names.API_SERVER_PORT}"
            report.error(endpoint.at("bindPort"), "K321", f"port {port} belongs to {_TAKEN_PORTS[port]}", hint)


def names_are_not_everyones(facts: Facts, report: Report) -> None:
    """``localhost`` is every machine."""
    for machine in facts.machines:
        if machine.get("name") in ("localhost", "localhost.localdomain"):
            report.error(machine.at("name"), "K201", "every machine is called localhost", "use a name like m1")
