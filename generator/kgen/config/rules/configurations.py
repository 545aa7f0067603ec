"""Rules about ``kubelet:`` and ``kubeProxy:``: the types of fields, and what the programs would refuse or risk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kgen.config.kubernetes_yaml import value_at
from kgen.config.rules.facts import Facts
from kgen.facts import names
from kgen.reader.objects import Draft
from kgen.reader.report import Report, all_of, one_of, shown
from kgen.reader.tree import Mapping, Node, Sequence

_PROGRAMS = {"kubelet": ("KubeletConfiguration", "kubelet"), "kubeProxy": ("KubeProxyConfiguration", "kube-proxy")}
"""The keys of the cluster file with component configuration: its kind, and the program that reads it."""


def values(facts: Facts, report: Report) -> None:
    """The fields are those of the version, their values have the right types, and the program takes them."""
    for key, (kind, program) in _PROGRAMS.items():
        given = facts.root.get(key)
        if given and facts.programs is not None and _is_whole(given, facts.below(key)):
            _check(facts, report, facts.root, key, given, kind, program)
    for holder in facts.documents:
        own = holder.get("kubelet")
        if own and facts.programs is not None and _is_whole(own, holder.at("kubelet")):
            _check(facts, report, holder, "kubelet", own, *_PROGRAMS["kubelet"])


def _check(
    facts: Facts, report: Report, holder: Draft, key: str, given: dict[str, Any], kind: str, program: str
) -> None:
    """Check the configuration of the cluster, or the fields of a machine or pool over those of the cluster."""
    from kgen.config import kubelet_checks, proxy_checks, typed  # most clusters have no component configuration
    from kgen.config.effective import Configuration, merged

    programs = facts.programs
    assert programs is not None  # noqa: S101 the caller has looked
    mismatches = list(typed.mismatches(given, kind, programs.types))
    for found in mismatches:
        code = "K326" if found.is_unknown else "K209"
        message = f"{programs.version}: {found.message}" if found.is_unknown else found.message
        facts.refuse(report, facts.below(key, *found.path, holder=holder), code, message, found.hint)
    if mismatches:
        return
    check = kubelet_checks.check if program == "kubelet" else proxy_checks.check
    whole = given if holder is facts.root else merged(facts.root.get(key) or {}, given)
    reported = (
        set() if holder is facts.root else set(check(Configuration(facts.root.get(key) or {}, kind, program, programs)))
    )
    for wrong in check(Configuration(whole, kind, program, programs)):
        if wrong not in reported:
            message = f"{program} refuses it: {wrong.message}"
            facts.refuse(report, facts.below(key, *wrong.path, holder=holder), "K364", message, wrong.hint)


def _is_whole(value: Any, node: Node) -> bool:
    """Return whether every value below the node could be read: the others have been reported."""
    if isinstance(value, dict) and isinstance(node, Mapping):
        entries = node.entries
        return entries.keys() == value.keys() and all(_is_whole(value[key], entries[key][1]) for key in entries)
    if isinstance(value, list) and isinstance(node, Sequence):
        return len(value) == len(node.items) and all(map(_is_whole, value, node.items))
    return True


def kernel_defaults(facts: Facts, report: Report) -> None:
    """With ``protectKernelDefaults``, the machine has the kernel parameters that the kubelet would set otherwise."""
    ours = names.KUBELET_SYSCTLS if any(check.number == "kernel-defaults" for check in facts.hardening) else {}
    for holder in facts.documents:
        kubelet = (facts.root.get("kubelet") or {}) | (holder.get("kubelet") or {})
        given = ours | (facts.root.get("sysctls") or {}) | (holder.get("sysctls") or {})
        lacking = {name: value for name, value in names.KUBELET_SYSCTLS.items() if str(given.get(name)) != value}
        if kubelet.get("protectKernelDefaults") and lacking:
            is_own = "protectKernelDefaults" in (holder.get("kubelet") or {})
            place = facts.below("kubelet", "protectKernelDefaults", holder=holder if is_own else None)
            message = f"the kubelet does not start on a machine without {all_of(lacking)}"
            missing = ", ".join(f"{name}: {value}" for name, value in lacking.items())
            report.error(place, "K368", message, f"add to sysctls: {{{missing}}}")


def warnings(facts: Facts, report: Report) -> None:
    """Warn about values that kubeadm warns about: they differ from the rest of the cluster, or open the kubelet."""
    for path, wanted, reason in _expected(facts):
        for holder in (facts.root, *facts.documents) if path[0] == "kubelet" else (facts.root,):
            value = value_at(holder.get(path[0]), path[1:])
            if value not in (None, "", *wanted):
                message = f"{_plain(value)} instead of {one_of(map(_plain, wanted))}: {reason}"
                report.warn(facts.below(*path, holder=holder), "K931", message, "remove it, unless you mean it")


def _plain(value: Any) -> str:
    """Return a value as a cluster file has it."""
    return shown(value) if isinstance(value, str) else json.dumps(value)


def _expected(facts: Facts) -> Iterator[tuple[tuple[str, ...], tuple[Any, ...], str]]:
    """Yield a field, its right values, and what another value means (kubeadm's package ``componentconfigs``)."""
    yield ("kubelet", "authentication", "anonymous", "enabled"), (False,), "everybody may ask the kubelet"
    yield ("kubelet", "authorization", "mode"), ("Webhook",), "everybody who is known to the kubelet may do everything"
    yield (
        ("kubelet", "authentication", "webhook", "enabled"),
        (True,),
        "the kubelet knows nobody who comes with a token, such as metrics-server",
    )
    yield ("kubelet", "readOnlyPort"), (0,), "everybody may read what runs on the machine"
    yield (
        ("kubelet", "healthzBindAddress"),
        ("127.0.0.1",),
        "kgen and kubeadm ask the kubelet there whether it is healthy",
    )
    yield (
        ("kubelet", "healthzPort"),
        (names.KUBELET_HEALTHZ_PORT,),
        "kgen and kubeadm ask the kubelet there whether it is healthy",
    )
    if facts.service_subnets and facts.service_subnets[0].num_addresses > names.DNS_ADDRESS:
        address = str(facts.service_subnets[0][names.DNS_ADDRESS])
        yield ("kubelet", "clusterDNS"), ([address],), "pods would not ask the cluster's DNS"
    domain = facts.networking.get("dnsDomain")
    if domain is not None:
        yield ("kubelet", "clusterDomain"), (domain,), "networking.dnsDomain is another domain"
    if facts.pod_subnets:
        text = ",".join(map(str, facts.pod_subnets))
        yield ("kubeProxy", "clusterCIDR"), (text,), "networking.podSubnet is another network"
    yield ("kubeProxy", "bindAddress"), ("0.0.0.0", "::"), "kube-proxy takes it for the machine's own address"  # noqa: S104 kubeadm's choice
