"""Rules about ``hardening: cis``: what the user says explicitly wins, unless it contradicts a check."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from kgen.config.kubernetes_yaml import value_at
from kgen.config.rules.arguments import given
from kgen.config.rules.facts import Facts
from kgen.facts import apiserver_files as table
from kgen.facts import names
from kgen.facts.hardening import (
    Check,
    ConfigField,
    EncryptedSecrets,
    Flag,
    ServerFile,
    ServingCertificates,
    Setting,
    Sysctls,
)
from kgen.reader.objects import Draft
from kgen.reader.report import Report, shown
from kgen.reader.tree import Node


def nothing_contradicts(facts: Facts, report: Report) -> None:
    """Whatever the file says beside ``hardening: cis`` is what the checks ask for, or an exception."""
    found: dict[int, tuple[Node, str, list[Check]]] = {}
    for check in facts.hardening:
        for setting in check.settings:
            for place, what in _contradictions(facts, setting):
                checks = found.setdefault(id(place), (place, what, []))[2]
                if check not in checks:
                    checks.append(check)
    for place, what, checks in found.values():
        wishes = "; ".join(f"{check.number}: {check.title}" for check in checks)
        message = f"{what} contradicts `hardening: cis` in line {facts.hardening_line} ({wishes})"
        numbers = ", ".join(f'"{check.number}"' for check in checks)
        report.error(place, "K751", message, f"change or remove it, or write `hardeningExceptions: [{numbers}]`")


def kubelets_are_verified(facts: Facts, report: Report) -> None:
    """Warn if the API servers do not verify kubelets, because kgen does not know all machines."""
    checks = [check.number for check in facts.hardening if ServingCertificates() in check.settings]
    arguments = {argument.get("name") for _, argument in given(facts)}
    pki = facts.root.section("pki")
    if not checks or pki.get("kubeletServingCertificates") or "kubelet-certificate-authority" in arguments:
        return
    unknown = [*facts.pools, *(machine for machine in facts.machines if not machine.is_given("address"))]
    if unknown:
        unknown_names = ", ".join(str(holder.get("name")) for holder in unknown)
        message = (
            f"nobody knows the addresses of {unknown_names}: the API servers verify no kubelet ({', '.join(checks)})"
        )
        numbers = ", ".join(f'"{number}"' for number in checks)
        hint = (
            "list machines with their addresses, or see docs/how-to/kubelet-serving-certificates.md; to accept it, add "
            f"{numbers} to hardeningExceptions"
        )
        report.warn(unknown[0].node, "K935", message, hint)


def exceptions_have_a_rule(facts: Facts, report: Report) -> None:
    """Exceptions mean something with ``hardening: cis`` only."""
    if facts.root.is_given("hardeningExceptions") and facts.root.get("hardening") == "none":
        message = "there is no `hardening: cis` to make an exception of"
        report.error(facts.root.key_at("hardeningExceptions"), "K752", message, "remove it, or add `hardening: cis`")


def _contradictions(facts: Facts, setting: Setting) -> Iterator[tuple[Node, str]]:
    """Yield the place and the words of everything that the setting does not allow."""
    if isinstance(setting, Flag):
        arguments = [
            argument
            for component, argument in given(facts)
            if component == setting.component and argument.get("name") == setting.name
        ]
        for argument in arguments[-1:]:  # of several, the last one counts
            yield from _wrong_argument(setting, argument)
        yield from _without_tls(facts, setting)
    elif isinstance(setting, ConfigField):
        yield from _wrong_field(facts, setting)
    elif isinstance(setting, ServerFile):
        yield from _beside_the_file(facts, setting)
    elif isinstance(setting, EncryptedSecrets):
        section = facts.root.section("apiServer").section("encryption")
        provider = section.get("provider")
        if provider is not None and provider not in setting.providers:
            yield section.at("provider"), f"the provider {provider}"
    elif isinstance(setting, ServingCertificates):
        yield from _without_certificates(facts)
    elif isinstance(setting, Sysctls):
        for holder in (facts.root, *facts.documents):
            for name, value in (holder.get("sysctls") or {}).items():
                if names.KUBELET_SYSCTLS.get(name, value) != str(value):
                    yield facts.below("sysctls", name, holder=holder), f"{name}={shown(str(value))}"


_FILES_OF_ETCD = {"etcd-cafile": "caFile", "etcd-certfile": "certFile", "etcd-keyfile": "keyFile"}


def _without_tls(facts: Facts, setting: Flag) -> Iterator[tuple[Node, str]]:
    """Yield an etcd outside of the masters for which the API server does not get the argument of the setting."""
    etcd = facts.root.section("etcd")
    field = _FILES_OF_ETCD.get(setting.name)
    if field and etcd.is_given("external") and not etcd.section("external").is_given(field):
        yield etcd.key_at("external"), "etcd.external without TLS"


def _without_certificates(facts: Facts) -> Iterator[tuple[Node, str]]:
    """Yield what keeps kubelets without a certificate of the CA, although kgen knows all machines."""
    if facts.pools or not all(machine.is_given("address") for machine in facts.machines):
        return
    pki = facts.root.section("pki")
    if pki.get("kubeletServingCertificates") is False and pki.is_given("kubeletServingCertificates"):
        yield pki.at("kubeletServingCertificates"), "kubeletServingCertificates: false"
    for holder in () if pki.get("kubeletServingCertificates") else (facts.root, *facts.machines):
        for field in ("tlsCertFile", "tlsPrivateKeyFile"):
            if (holder.get("kubelet") or {}).get(field):
                yield facts.below("kubelet", field, holder=holder), f"{field}, instead of a certificate of kgen,"


def _wrong_argument(setting: Flag | ConfigField, argument: Draft) -> Iterator[tuple[Node, str]]:
    value = argument.get("value")
    if value is not None and not setting.expect.holds(value):
        name = argument.get("name")
        is_unwanted = setting.expect.op == "absent"
        yield argument.at("name" if is_unwanted else "value"), f"{name}={shown(value)}"


def _wrong_field(facts: Facts, setting: ConfigField) -> Iterator[tuple[Node, str]]:
    for holder in (facts.root, *facts.documents) if setting.key == "kubelet" else (facts.root,):
        path = setting.path.split(".")
        value = value_at(holder.get(setting.key), path)
        if value is not None and not setting.expect.holds(text(value)):
            yield facts.below(setting.key, *path, holder=holder), f"{setting.path}: {shown(text(value))}"
    gate = setting.path.removeprefix("featureGates.")
    for component, argument in given(facts):
        name, value = argument.get("name"), argument.get("value")
        if component == setting.key and name == setting.flag:
            yield from _wrong_argument(setting, argument)
        elif component == setting.key and name == "feature-gates" and f"{gate}=false" in (value or "").split(","):
            yield argument.at("value"), f"{name}={shown(value)}"


def text(value: Any) -> str:
    """Return a field's value as a flag has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _beside_the_file(facts: Facts, setting: ServerFile) -> Iterator[tuple[Node, str]]:
    """Yield what kube-apiserver does not take beside kgen's file, or what would hide it."""
    section = facts.root.section("apiServer")
    row = next(row for row in table.ROWS if row.key == setting.key)
    for argument in section.drafts("extraArgs"):
        name = argument.get("name") or ""
        if any(fnmatchcase(name, pattern) for pattern in row.excludes):
            yield argument.at("name"), name
    if "oidc-*" in row.excludes and section.is_given("oidcCAFile"):
        yield section.key_at("oidcCAFile"), "oidcCAFile"
    for volume in section.drafts("extraVolumes"):
        is_same = volume.get("name") in (table.VOLUME, table.AUDIT_LOG_VOLUME)
        if is_same or str(volume.get("mountPath")) == str(table.DIRECTORY):
            yield volume.at("name"), f"the volume {volume.get('name')}, which kgen makes itself,"
