"""The ranges of the machines' pods, for ``networking.plugin: bridge``: assigned once, then kept.

Running machines route to each other's ranges, so none may move when the list of machines changes; and the range of
a machine that is gone goes to nobody else, because its routes may still be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_network
from itertools import pairwise

from kgen.config import pod_ranges
from kgen.errors import InputError
from kgen.model import Cluster, Network

_ONCE = "ranges are kept from the first render on, because running machines route to them: "


def assign(cluster: Cluster, kept: Mapping[str, str], file: str = "") -> dict[str, str]:
    """Return the range of every machine by name: what its ``podCIDR`` says, what is ``kept``, else the next free one.

    Ranges of other machines are kept. Without the plugin bridge all is left as it is. ``file`` is the bundle's.

    Raises:
        InputError: a kept range does not fit the cluster file any more, or no range is left.
    """
    if cluster.networking.plugin != "bridge":
        return dict(kept)
    subnet = cluster.networking.pod_subnets[0]
    given = {machine.name: machine.pod_cidr for machine in cluster.machines if machine.pod_cidr is not None}
    old = {name: ip_network(text) for name, text in kept.items() if name not in given}
    _refuse_conflicts(subnet, given, old, file or "the secrets bundle")
    ranges: dict[str, Network] = {**old, **given}
    wanting = [machine.name for machine in cluster.machines if machine.name not in ranges]
    ranges.update(zip(wanting, pod_ranges.free(subnet, ranges.values()), strict=False))
    if wanting and wanting[-1] not in ranges:
        message = f"networking.podSubnet {subnet} has no range left for {wanting[-1]}"
        hint = f"give it a smaller one with `podCIDR:`, or delete the lines of removed machines from podCIDRs in {file}"
        raise InputError(message, hint)
    order = dict.fromkeys((*(machine.name for machine in cluster.machines), *ranges))
    return {name: str(ranges[name]) for name in order}


def with_ranges(cluster: Cluster, ranges: Mapping[str, str]) -> Cluster:
    """Return ``cluster`` with the range of every machine; as it is without the plugin bridge."""
    if cluster.networking.plugin != "bridge":
        return cluster
    machines = tuple(replace(machine, pod_cidr=ip_network(ranges[machine.name])) for machine in cluster.machines)
    return replace(cluster, machines=machines)


def _refuse_conflicts(subnet: Network, given: Mapping[str, Network], old: Mapping[str, Network], file: str) -> None:
    for name, network in old.items():
        if network.version != subnet.version or not network.subnet_of(subnet):  # type: ignore[arg-type]
            message = f"the range {network} of {name} is not a part of networking.podSubnet {subnet}"
            hint = f"{_ONCE}put podSubnet back; if the cluster never booted, remove podCIDRs from {file} and render"
            raise InputError(message, hint)
    ranges = sorted({**old, **given}.items(), key=lambda pair: pair[1])
    for pair in pairwise(ranges):
        (chosen, here), (holder, there) = sorted(pair, key=lambda item: item[0] not in given)
        if here.overlaps(there):
            message = f"the range {here} of {chosen} overlaps {there}, which {holder} has"
            hint = f"{_ONCE}choose another podCIDR; if {holder} was removed, delete its line from podCIDRs in {file}"
            raise InputError(message, hint)
