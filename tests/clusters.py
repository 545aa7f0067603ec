"""Clusters built by hand, for tests that start behind the loader."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, ip_address

from kgen.facts import names
from kgen.facts.versions import Version
from kgen.model import Cluster, Endpoint, Machine, Networking, Taint

MASTER_TAINT = Taint(names.LABEL_CONTROL_PLANE, "NoSchedule")


def without_checksums(text: str) -> str:
    """Return the text of a secrets bundle as it is for somebody who edits it by hand."""
    changed = re.sub(r"^checksums: \|\n(  .*\n)+", "", text, flags=re.MULTILINE)
    assert changed != text
    return changed


def master(name: str, address: str) -> Machine:
    """Return a master with kubeadm's default taint."""
    return Machine(name=name, role="master", addresses=(ip_address(address),), taints=(MASTER_TAINT,))


def node(name: str, address: str = "") -> Machine:
    """Return a node; without an address its Node takes the one the kubelet finds."""
    return Machine(name=name, role="node", addresses=(ip_address(address),) if address else ())


def one_master() -> Cluster:
    """Return the smallest cluster: name, version and one master, no ``controlPlaneEndpoint``."""
    return Cluster(
        name="mini",
        cluster_name="mini",
        kubernetes_version=Version(1, 37, 2),
        machines=(master("m1", "10.0.0.11"),),
        networking=Networking(service_subnets=(IPv4Network(names.DEFAULT_SERVICE_SUBNET),)),
    )


def three_masters() -> Cluster:
    """Return three masters behind a DNS name, with a pod subnet."""
    return replace(
        one_master(),
        name="prod",
        cluster_name="prod",
        machines=tuple(master(f"m{number}", f"10.0.0.{10 + number}") for number in (1, 2, 3)),
        networking=Networking(
            service_subnets=(IPv4Network(names.DEFAULT_SERVICE_SUBNET),), pod_subnets=(IPv4Network("10.244.0.0/16"),)
        ),
        control_plane_endpoint=Endpoint("api.prod.example.com", names.API_SERVER_PORT),
    )


def with_nodes(count: int, cluster: Cluster | None = None) -> Cluster:
    """Return ``cluster`` (default: three masters) with ``count`` listed nodes ``w1``… and one pool ``workers``."""
    cluster = cluster or three_masters()
    first = int(IPv4Address("10.1.0.0"))
    nodes = tuple(node(f"w{number}", str(IPv4Address(first + number))) for number in range(1, count + 1))
    pool = Machine(name="workers", role="node", is_pool=True, labels={"tier": "web"})
    return replace(cluster, machines=cluster.machines + nodes, pools=(pool,))
