"""Rules about machines and pools: names, roles, addresses, ports."""

from __future__ import annotations

from kgen.config import own_values
from kgen.config.rules.facts import Facts
from kgen.facts import names
from kgen.facts.labels import kubelet_may_set
from kgen.facts.providers import may_have_role
from kgen.reader.objects import Draft
from kgen.reader.report import Report
from kgen.reader.tree import Mapping, Node

_MOST_MASTERS = 5  # the FAQ of etcd suggests no more than 5 to 7: https://etcd.io/docs/
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
    """An etcd on the masters has one, three or five members. With one outside, any number of masters will do."""
    count = len(facts.masters)
    place = facts.root.key_at("machines")
    if facts.has_unread_roles:
        return
    if count == 0:
        report.error(place, "K301", "no machine has role: master", "give at least one machine role: master")
    elif facts.has_external_etcd:
        return
    elif count > _MOST_MASTERS:
        report.error(
            place, "K303", f"{count} masters would make {count} etcd members: writes become slow", "use 3 or 5 masters"
        )
    elif count % 2 == 0:
        hint = f"use {count - 1} or {count + 1}: {count} masters tolerate no more failures than {count - 1}"
        report.error(place, "K302", f"{count} masters make an even number of etcd members", hint)


def endpoint_of_several_masters(facts: Facts, report: Report) -> None:
    """Several masters have a common endpoint, which is not the address of one of them."""
    if len(facts.masters) < 2:
        return
    if not facts.root.is_given("controlPlaneEndpoint"):
        message = f"{len(facts.masters)} masters need a controlPlaneEndpoint"
        hint = "give the DNS name or address of a load balancer or virtual IP in front of the masters"
        report.error(facts.root.node, "K306", message, hint, key="controlPlaneEndpoint")
        return
    endpoint = facts.root.get("controlPlaneEndpoint")
    for master, address in facts.addressed:
        if endpoint and endpoint[0] == str(address) and master.get("role") == "master":
            message = f"{address} is the address of {master.get('name')} alone: the cluster depends on that master"
            hint = "give the DNS name or address of a load balancer or virtual IP"
            report.warn(facts.root.at("controlPlaneEndpoint"), "K905", message, hint)


def masters_have_addresses(facts: Facts, report: Report) -> None:
    """Every master has an address: its certificates and its etcd member contain it."""
    for master in facts.masters:
        if not master.is_given("address"):
            hint = "give the address at which the other machines reach it"
            report.error(master.node, "K316", "a master needs an address", hint, key="address")


def names_are_unique(facts: Facts, report: Report) -> None:
    """Machines and pools have distinct names."""
    seen: dict[str, Node] = {}
    for entry in facts.documents:
        name = entry.get("name")
        if name is None:
            continue
        place = entry.at("name")
        if name in seen:
            hint = f"it is already used in line {seen[name].line}; machines and pools share one set of names"
            report.error(place, "K304", f"the name {name} is used twice", hint)
        seen.setdefault(name, place)


def addresses_are_unique(facts: Facts, report: Report) -> None:
    """No two machines have the same address."""
    seen: dict[object, Node] = {}
    for machine, address in facts.addressed:
        place = machine.at("address")
        if address in seen:
            hint = f"it is already used in line {seen[address].line}"
            report.error(place, "K305", f"the address {address} is used twice", hint)
        seen.setdefault(address, place)


def pools_are_nodes(facts: Facts, report: Report) -> None:
    """A pool has no masters: each master has its own certificates."""
    for pool in facts.pools:
        if pool.get("role") == "master":
            hint = "list masters below machines:, one entry each"
            report.error(pool.at("role"), "K313", "a pool cannot consist of masters", hint)


def tokens_of_pools(facts: Facts, report: Report) -> None:
    """A machine asks Parameter Store with the role of its EC2 instance."""
    provider = facts.root.get("provider")
    for pool in facts.pools:
        if pool.get("tokenFrom") == "ssm" and not may_have_role(provider or ""):
            hint = "remove it, or write `provider: ec2`"
            report.error(pool.at("tokenFrom"), "K395", f"machines at {provider} have no role for Parameter Store", hint)


def labels_of_pools(facts: Facts, report: Report) -> None:
    """A pool's machines label themselves, and a kubelet may not set every label."""
    for pool in facts.pools:
        for key in pool.get("labels") or ():
            if not kubelet_may_set(key):
                hint = "use another domain in the label, or list the machines below machines:"
                report.error(_label_place(pool, key), "K314", f"a kubelet may not set {key} itself", hint)


def labels_of_the_machine_itself(facts: Facts, report: Report) -> None:
    """Only a kubelet knows what its machine fills in, so masters cannot set such a label."""
    for machine in facts.machines:
        for key, value in (machine.get("labels") or {}).items():
            if not kubelet_may_set(key) and own_values.are_there(value):
                hint = "give its value here, or use another domain in the label"
                report.error(_label_place(machine, key), "K314", f"a kubelet may not set {key} itself", hint)


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
    """The API server's port is not used by another program on the machine."""
    for holder in (facts.root, *facts.machines):
        if not holder.is_given("localAPIEndpoint"):
            continue
        endpoint = holder.section("localAPIEndpoint")
        port = endpoint.get("bindPort")
        if port in _TAKEN_PORTS:
            hint = f"use another port, such as {names.API_SERVER_PORT}"
            report.error(endpoint.at("bindPort"), "K321", f"port {port} is used by {_TAKEN_PORTS[port]}", hint)


def forwarding_stays_on(facts: Facts, report: Report) -> None:
    """A kernel parameter that pods need keeps kgen's value."""
    for holder in (facts.root, *facts.documents):
        for name, value in (holder.get("sysctls") or {}).items() if holder.is_given("sysctls") else ():
            if any(name in of_family for of_family in names.POD_SYSCTLS.values()) and value != "1":
                node = holder.at("sysctls")
                place = node.entries[name][1] if isinstance(node, Mapping) else node
                report.error(place, "K352", f"{name} = {value}: pods cannot be reached without it", "remove it")


def localhost_is_no_name(facts: Facts, report: Report) -> None:
    """No machine is called ``localhost``."""
    for machine in facts.machines:
        if machine.get("name") in ("localhost", "localhost.localdomain"):
            report.error(
                machine.at("name"),
                "K201",
                "localhost cannot be the name of one machine: it means every machine",
                "use a name like m1",
            )
