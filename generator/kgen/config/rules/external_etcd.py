"""Rules about ``etcd.external``. They are those of kubeadm's ``config validate``."""

from __future__ import annotations

from kgen.config.rules.facts import Facts
from kgen.facts import versions
from kgen.reader.report import Report, all_of


def etcd_is_in_one_place(facts: Facts, report: Report) -> None:
    """The masters run etcd, or they do not."""
    etcd = facts.root.section("etcd")
    if etcd.is_given("local") and etcd.is_given("external"):
        message = "etcd runs either on the masters (local) or outside of them (external)"
        report.error(etcd.key_at("external"), "K108", message, "keep one of them")


def endpoints_differ(facts: Facts, report: Report) -> None:
    """Each endpoint is another member."""
    external = facts.root.section("etcd").section("external")
    for key in ("endpoints", "httpEndpoints"):
        seen = set()
        for endpoint, place in external.items(key):
            if endpoint in seen:
                report.error(place, "K322", f"{endpoint} is given twice", "keep one of them")
            seen.add(endpoint)


def certificates_are_complete(facts: Facts, report: Report) -> None:
    """A certificate has its key and a CA, and is shown over HTTPS only."""
    external = facts.root.section("etcd").section("external")
    given = [key for key in ("caFile", "certFile", "keyFile") if external.is_given(key)]
    if "certFile" in given or "keyFile" in given:
        for key in ("caFile", "certFile", "keyFile"):
            if key not in given:
                message = f"{all_of(given)} cannot be used without {key}"
                report.error(external.node, "K384", message, f"add `{key}:` with the path of the file", key=key)
        for endpoint, place in external.items("endpoints"):
            if not endpoint.startswith("https:"):
                report.error(place, "K384", f"{endpoint} cannot take a certificate", "write it with https://")


def http_endpoints_are_known(facts: Facts, report: Report) -> None:
    """Older versions of kubeadm have no ``httpEndpoints``."""
    external = facts.root.section("etcd").section("external")
    if facts.version and external.is_given("httpEndpoints") and not versions.has_http_endpoints(facts.version):
        message = f"kubeadm {facts.version} does not know httpEndpoints"
        report.error(external.key_at("httpEndpoints"), "K326", message, "remove it, or use v1.35 or later")
