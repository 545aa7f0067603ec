"""Rules about times: the life of certificates and tokens, how long a component may take to start."""

from __future__ import annotations

from datetime import timedelta

from kgen.config.kinds import BAD
from kgen.config.report import Report
from kgen.config.rules.facts import Facts

_SHORTEST = timedelta(hours=1)  # certificates are back-dated by as much
_SHORTEST_START = timedelta(minutes=1)
_LONG = {"certificateValidityPeriod": timedelta(days=365), "caCertificateValidityPeriod": timedelta(days=3650)}
_LONGEST = timedelta(days=365 * 200)  # X.509 and Go's clocks end; nobody means it


def leaves_end_before_their_ca(facts: Facts, report: Report) -> None:
    """A certificate that outlives its CA cannot be verified to its end."""
    leaf, ca = facts.root.get("certificateValidityPeriod"), facts.root.get("caCertificateValidityPeriod")
    if leaf is None or ca is None or leaf <= ca:
        return
    key = (
        "certificateValidityPeriod"
        if facts.root.is_given("certificateValidityPeriod")
        else ("caCertificateValidityPeriod")
    )
    message = f"certificates ({_hours(leaf)}) would outlive their CA ({_hours(ca)})"
    report.error(facts.root.at(key), "K319", message, "give certificates a shorter life, or the CA a longer one")


def validity_is_sensible(facts: Facts, report: Report) -> None:
    """Too short is useless, too long is a risk kubeadm warns about too."""
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
    """The kubelet asks every ten seconds; a component that is given less is never up."""
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
        hint = "leave `usages:` out, or put such a token behind a full one"
        report.error(token.at("usages"), "K324", f"nodes join with the first token, it lacks {missing[0]}", hint)


def _hours(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    return f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds}s"
