"""Rules about times: the validity of certificates and tokens, and the time in which a component must start."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice

from kgen.config.rules.facts import Facts
from kgen.reader.kinds import BAD
from kgen.reader.report import Report

_SHORTEST = timedelta(hours=1)  # a certificate is valid from one hour before it is issued
_SHORTEST_START = timedelta(minutes=1)
_LONG = {"certificateValidityPeriod": timedelta(days=365), "caCertificateValidityPeriod": timedelta(days=3650)}
_LONGEST = timedelta(days=365 * 200)  # Go's durations end at 292 years; a longer period is a mistake


def leaves_end_before_their_ca(facts: Facts, report: Report) -> None:
    """No certificate outlives its CA: it could no longer be verified."""
    leaf, ca = facts.root.get("certificateValidityPeriod"), facts.root.get("caCertificateValidityPeriod")
    if leaf is None or ca is None or leaf <= ca:
        return
    key = (
        "certificateValidityPeriod"
        if facts.root.is_given("certificateValidityPeriod")
        else ("caCertificateValidityPeriod")
    )
    message = f"certificates ({_hours(leaf)}) would outlive their CA ({_hours(ca)})"
    report.error(
        facts.root.at(key),
        "K319",
        message,
        "make certificateValidityPeriod shorter, or caCertificateValidityPeriod longer",
    )


def validity_is_sensible(facts: Facts, report: Report) -> None:
    """Refuse lifetimes that are too short to be useful; warn about long ones, as kubeadm does."""
    for key, long in _LONG.items():
        value = facts.root.get(key)
        if value is None or not facts.root.is_given(key):
            continue
        place = facts.root.at(key)
        if value <= _SHORTEST:
            report.error(
                place, "K320", f"{_hours(value)} is too short", "give more than 1h; kubeadm's default is 8760h"
            )
        elif value > _LONGEST:
            report.error(place, "K320", f"{_hours(value)} is too long", f"give at most {_hours(_LONGEST)}")
        elif value > long:
            report.warn(place, "K902", f"{_hours(value)} is longer than {_hours(long)}", "kubeadm warns about it too")


def components_have_time_to_start(facts: Facts, report: Report) -> None:
    """A component gets at least a minute to start: the kubelet probes it every ten seconds."""
    timeouts = facts.root.section("timeouts")
    value = timeouts.get("controlPlaneComponentHealthCheck")
    if value is not None and value < _SHORTEST_START:
        hint = "give at least 1m; kubeadm's default is 4m"
        place = timeouts.at("controlPlaneComponentHealthCheck")
        report.error(place, "K320", f"{int(value.total_seconds())}s is too short", hint)


def nodes_can_join(facts: Facts, report: Report) -> None:
    """Nodes join with the first token: it must authenticate them and sign cluster-info."""
    token = next(facts.root.drafts("bootstrapTokens"), None)
    if token is None:
        return
    usages = token.get("usages")
    if usages is None or BAD in usages:
        return
    missing = [usage for usage in ("signing", "authentication") if usage not in usages]
    if missing:
        hint = "remove `usages:`, or put a token with both usages first"
        report.error(
            token.at("usages"), "K324", f"nodes join with the first token, which lacks the usage {missing[0]}", hint
        )


def tokens_have_groups(facts: Facts, report: Report) -> None:
    """Every token authenticates: kubeadm gives each token a group, and refuses a group without that usage."""
    for token in islice(facts.root.drafts("bootstrapTokens"), 1, None):  # another rule checks the first
        usages = token.get("usages")
        if usages is not None and BAD not in usages and "authentication" not in usages:
            hint = "add authentication to `usages:`, or remove the token"
            report.error(token.at("usages"), "K382", "a token without the usage authentication has no groups", hint)


def waits_are_long_enough(facts: Facts, report: Report) -> None:
    """Warn about a time that is shorter than the default, because it changes nothing."""
    timeouts = facts.root.section("timeouts")
    for row in timeouts.kind.fields:
        value, default = timeouts.get(row.key), timeouts.kind.defaults[row.key]
        if row.key != "controlPlaneComponentHealthCheck" and value is not None and value < default:
            message = f"a time below {row.default} changes nothing: the first boot waits at least that long"
            report.warn(timeouts.at(row.key), "K942", message, "remove it")


def _hours(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    return f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds}s"
