"""Rules about keys: which of them the masters get."""

from __future__ import annotations

from kgen.config.rules.facts import Facts
from kgen.reader.report import Report


def masters_can_renew(facts: Facts, report: Report) -> None:
    """Warn about what kubeadm cannot do on masters without the keys of the etcd and front-proxy CAs."""
    pki = facts.root.section("pki")
    if pki.get("shipCAKeys") == "cluster":
        without, skipped = ("keys of the etcd and front-proxy CAs", "5 of a master's 11 certificates")
        if facts.has_external_etcd:
            without, skipped = "key of the front-proxy CA", "front-proxy-client"
        message = (
            f"without the {without}, `kubeadm certs renew all` skips {skipped} and `kubeadm join --control-plane` fails"
        )
        report.warn(pki.at("shipCAKeys"), "K913", message, "remove the key, or set it to all, as kubeadm does")
