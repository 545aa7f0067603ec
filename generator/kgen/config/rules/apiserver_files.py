"""Rules about the configuration files of kube-apiserver: nothing else says what their keys say."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from kgen.config.rules.facts import Facts
from kgen.facts import apiserver_files as table
from kgen.reader.report import Report


def keys_stand_alone(facts: Facts, report: Report) -> None:
    """A key sets argument, file and volume: nothing else sets them, or what the program does not take beside them."""
    section = facts.root.section("apiServer")
    given = dict(_given(facts))
    if not given:
        return
    if "oidcCAFile" in given and "authenticationConfig" in given:
        message = "kube-apiserver does not take arguments of OIDC beside an AuthenticationConfiguration"
        hint = "put the CA into the file, as certificateAuthority of the issuer"
        report.error(section.key_at("oidcCAFile"), "K702", message, hint)
    for argument in section.drafts("extraArgs"):
        name = argument.get("name") or ""
        for key, flags in given.items():
            if any(fnmatchcase(name, flag) for flag in flags):
                message = f"{name} and apiServer.{key} cannot both be given"
                report.error(argument.at("name"), "K702", message, "remove one of them")
    named = {argument.get("name") for argument in section.drafts("extraArgs")}
    has_log = "auditPolicyFile" in given and named.isdisjoint(table.AUDIT_BACKENDS)
    for volume in section.drafts("extraVolumes"):
        names = (table.VOLUME, *([table.AUDIT_LOG_VOLUME] if has_log else []))
        if volume.get("name") in names or str(volume.get("mountPath")) == str(table.DIRECTORY):
            message = f"kgen makes this volume for apiServer.{next(iter(given))}"
            report.error(volume.at("name"), "K702", message, "remove it, or use another name and mountPath")


def _given(facts: Facts) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each key that the file gives, with the flags that nothing else may set."""
    section = facts.root.section("apiServer")
    for row in table.ROWS:
        if section.is_given(row.key):
            yield row.key, (row.flag, *row.excludes)
    if section.is_given("encryption"):
        yield "encryption", ("encryption-provider-config*",)
