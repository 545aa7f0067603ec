"""Rules across fields: one table, each row a function that reports what it finds."""

from __future__ import annotations

from collections.abc import Callable

from kgen.config.report import Report
from kgen.config.rules import arguments, bridge, image, lifetimes, machines, networks, proxies, registration
from kgen.config.rules.facts import Facts

Rule = Callable[[Facts, Report], None]

RULES: tuple[Rule, ...] = (
    registration.format_is_given,
    registration.version_is_known,
    registration.version_has_it,
    machines.number_of_masters,
    machines.endpoint_of_several_masters,
    machines.masters_have_addresses,
    machines.names_are_unique,
    machines.names_are_not_everyones,
    machines.addresses_are_unique,
    machines.pools_are_nodes,
    machines.labels_of_pools,
    machines.only_masters_have_endpoints,
    machines.ports_are_free,
    networks.service_subnet_size,
    networks.pod_subnet_is_divided,
    networks.subnets_do_not_overlap,
    networks.addresses_are_outside,
    networks.one_address_family,
    bridge.machines_are_listed,
    bridge.subnet_is_given,
    bridge.machines_have_addresses,
    bridge.ranges_are_apart,
    bridge.ranges_are_enough,
    bridge.ranges_are_used,
    bridge.controller_allocates_nothing,
    image.programs_have_one_source,
    arguments.arguments,
    lifetimes.leaves_end_before_their_ca,
    lifetimes.validity_is_sensible,
    lifetimes.components_have_time_to_start,
    lifetimes.nodes_can_join,
    proxies.cluster_is_not_proxied,
    registration.taints,
    registration.preflight_errors,
    registration.volumes,
    registration.environment,
    registration.gates,
    registration.component_configuration,
    registration.users,
)
"""Every rule; order does not matter, problems are sorted by their place in the file."""


def check(facts: Facts, report: Report) -> None:
    """Run every rule. Values that could not be read are reported already, rules are silent about them."""
    for rule in RULES:
        rule(facts, report)
