"""Rules about what the programs of the version have: values of arguments, feature gates, admission plugins, ciphers.

The tables come from the programs themselves (``kgen.facts.programs``). Nothing is refused while the version could not
be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address

from kgen.config import gate_checks, own_values, unknown_names
from kgen.config.rules.arguments import PROGRAMS, given
from kgen.config.rules.facts import Facts
from kgen.facts import etcd_flags, versions
from kgen.facts.programs import Programs
from kgen.reader.objects import Draft
from kgen.reader.report import Report, shown
from kgen.reader.tree import Node

_BOOLEANS = ("1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False")
"""What Go's ``strconv.ParseBool`` takes; the first half is true."""

_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DURATION = re.compile(r"[+-]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)")
_BITS = {
    "int32": (-(2**31), 2**31),
    "int": (-(2**63), 2**63),
    "int64": (-(2**63), 2**63),
    "uint": (0, 2**64),
    "uint32": (0, 2**32),
    "Level": (0, 2**31),
}
_PORTS = re.compile(r"([0-9]+)(?:([-+])([0-9]+))?")
_AUTHORIZERS = {
    "AlwaysAllow": "",
    "AlwaysDeny": "",
    "ABAC": "authorization-policy-file",
    "Webhook": "authorization-webhook-config-file",
    "RBAC": "",
    "Node": "",
}
"""The modes of kube-apiserver's ``authorization-mode``, and the argument with the file that a mode needs."""
_GATES_FLAG = "feature-gates"
_WOULD_NOT_START = "the program would not start"


def values_of_arguments(facts: Facts, report: Report) -> None:
    """The value of an argument has the type of its flag."""
    programs = facts.programs
    if programs is None:
        return
    flags = {component: programs.flags[program] for component, program in PROGRAMS.items()}
    etcd = versions.etcd(programs.version, facts.root.section("etcd").section("local").get("imageTag") or "")
    flags["etcd"] = etcd_flags.by_minor().get(etcd.minor, {}) if etcd else {}
    for component, argument in given(facts):
        flag_type = flags[component].get(argument.get("name") or "")
        value = argument.get("value")
        is_known = value is not None and not own_values.are_there(value)
        wrong = _wrong(value, flag_type) if flag_type and is_known else None
        if wrong:
            message = f"{argument.get('name')} takes {wrong}, not {shown(value)}"
            facts.refuse(report, argument.at("value"), "K361", message, _WOULD_NOT_START)


def _wrong(value: str, flag_type: str) -> str:
    """Return what a flag of this type takes if the value is something else."""
    if flag_type == "bool":
        return "" if value in _BOOLEANS else "true or false"
    if flag_type in _BITS:
        low, high = _BITS[flag_type]
        return "" if _INTEGER.fullmatch(value) and low <= int(value) < high else f"a whole number ({flag_type})"
    if flag_type in ("float32", "float64"):
        return "" if _NUMBER.fullmatch(value) else "a number"
    if flag_type == "duration":
        return "" if _DURATION.fullmatch(value) else "a duration like 1h30m"
    if flag_type == "ip":
        return "" if not value or _is_address(value.strip()) else "an IP address"
    if flag_type == "portRange":
        return "" if not value.strip() or _are_ports(value.strip()) else "a range of ports like 30000-32767"
    return ""


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text)) and "%" not in text
    except ValueError:
        return False


def _are_ports(text: str) -> bool:
    match = _PORTS.fullmatch(text)
    if match is None:
        return False
    low, sign, other = int(match[1]), match[2], int(match[3] or 0)
    high = low + other if sign == "+" else other if sign else low
    return low <= high <= 65535


def gates(facts: Facts, report: Report) -> None:
    """Every program has the feature gates that it is given, and takes their values."""
    programs = facts.programs
    if programs is None:
        return
    for component, argument in given(facts):
        if component in PROGRAMS and argument.get("name") == _GATES_FLAG and argument.get("value") is not None:
            _gates_argument(facts, report, PROGRAMS[component], argument)
    for holder, key, program in (
        (facts.root, "kubeProxy", "kube-proxy"),
        *((holder, "kubelet", "kubelet") for holder in (facts.root, *facts.documents)),
    ):
        values = (holder.get(key) or {}).get("featureGates") or {}
        places = {name: facts.below(key, "featureGates", name, holder=holder) for name in values}
        _check_gates(facts, report, program, values, places)


def _gates_argument(facts: Facts, report: Report, program: str, argument: Draft) -> None:
    place, values = argument.at("value"), {}
    for item in filter(None, argument.get("value").split(",")):
        name, equals, value = item.strip().removeprefix("kube:").partition("=")
        if not equals or value.strip() not in _BOOLEANS:
            message = f"{shown(item)} is no feature gate with its value"
            facts.refuse(report, place, "K362", message, "write Name=true or Name=false, with commas in between")
        else:
            values[name.strip()] = value.strip() in _BOOLEANS[:6]
    _check_gates(facts, report, program, values, dict.fromkeys(values, place))


def _check_gates(
    facts: Facts, report: Report, program: str, values: Mapping[str, bool], places: Mapping[str, Node]
) -> None:
    assert facts.programs is not None  # noqa: S101 the callers have looked
    for name, message, hint in gate_checks.check(facts.programs.gates[program], values, program):
        facts.refuse(report, places[name], "K362", f"{facts.programs.version}: {message}", hint)


def admission_plugins(facts: Facts, report: Report) -> None:
    """The API server has every admission plugin that it is told to use or not to use, and is told one of them."""
    programs = facts.programs
    if programs is None:
        return
    seen: dict[str, tuple[str, str]] = {}
    for name, plugin, place in _listed(facts, "apiServer", ("enable-admission-plugins", "disable-admission-plugins")):
        if plugin not in programs.admission_plugins:
            message = f"kube-apiserver has no admission plugin {shown(plugin)}"
            _unknown(facts, report, place, message, plugin, lambda table: table.admission_plugins)
        elif seen.setdefault(plugin, (name, plugin))[0] != name:
            message = f"the admission plugin {plugin} is both enabled and disabled"
            facts.refuse(report, place, "K363", message, "remove it from one of the arguments")


def controllers(facts: Facts, report: Report) -> None:
    """The controller manager has every controller that it is told to start or not to start."""
    programs = facts.programs
    if programs is None:
        return
    for _, item, place in _listed(facts, "controllerManager", ("controllers",)):
        name = item.removeprefix("-")
        if name != "*" and name not in programs.controllers:
            message = f"kube-controller-manager has no controller {shown(name)}"
            _unknown(facts, report, place, message, name, lambda table: table.controllers)


def tls(facts: Facts, report: Report) -> None:
    """The programs have the cipher suites and TLS versions that they are told to use."""
    programs = facts.programs
    if programs is None:
        return
    known: Mapping[str, tuple[str, Callable[[Programs], tuple[str, ...]]]] = {
        "tls-cipher-suites": ("cipher suite", lambda table: table.tls_cipher_suites),
        "tls-min-version": ("TLS version", lambda table: table.tls_versions),
    }
    for component, argument in given(facts):
        name, value = argument.get("name"), argument.get("value")
        if component not in PROGRAMS or name not in known or value is None or own_values.are_there(value):
            continue
        what, of_table = known[name]
        for item in filter(None, value.split(",")):
            if item not in of_table(programs):
                message = f"{PROGRAMS[component]} has no {what} {shown(item)}"
                _unknown(facts, report, argument.at("value"), message, item, of_table)


def authorizers(facts: Facts, report: Report) -> None:
    """The API server has every authorizer that it is told to ask, once, and the file that the authorizer needs."""
    if facts.programs is None:
        return
    arguments = {argument.get("name") for argument in facts.root.section("apiServer").drafts("extraArgs")}
    seen: set[str] = set()
    for _, mode, place in _listed(facts, "apiServer", ("authorization-mode",)):
        needed = _AUTHORIZERS.get(mode, "")
        if mode not in _AUTHORIZERS:
            _unknown(facts, report, place, f"kube-apiserver has no authorizer {shown(mode)}", mode, _all_authorizers)
        elif mode in seen:
            facts.refuse(report, place, "K363", f"the authorizer {mode} is given twice", "remove one of them")
        elif needed and needed not in arguments:
            message = f"the authorizer {mode} needs the argument {needed}"
            facts.refuse(report, place, "K363", message, f"add {needed} to extraArgs, or remove {mode}")
        seen.add(mode)


def _all_authorizers(programs: Programs) -> tuple[str, ...]:
    return tuple(_AUTHORIZERS)


def _listed(facts: Facts, component: str, flags: tuple[str, ...]) -> Iterator[tuple[str, str, Node]]:
    for argument in facts.root.section(component).drafts("extraArgs"):
        if argument.get("name") in flags and argument.get("value") is not None:
            for item in filter(None, argument.get("value").split(",")):
                yield argument.get("name"), item.strip(), argument.at("value")


def _unknown(
    facts: Facts, report: Report, place: Node, message: str, name: str, known: Callable[[Programs], tuple[str, ...]]
) -> None:
    assert facts.programs is not None  # noqa: S101 the callers have looked
    hint = unknown_names.hint(
        name, known(facts.programs), lambda table: name in known(table), otherwise=f"remove it: {_WOULD_NOT_START}"
    )
    facts.refuse(report, place, "K363", f"{facts.programs.version}: {message}", hint)
