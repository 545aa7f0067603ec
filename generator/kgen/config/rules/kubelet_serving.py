"""Rules about the kubelets' serving certificates: who signs them, and that each kubelet has one way to its own."""

from __future__ import annotations

from kgen.config.rules.facts import Facts
from kgen.reader.objects import Draft
from kgen.reader.report import Report

_KEY = "pki.kubeletServingCertificates"
_FILES = ("tlsCertFile", "tlsPrivateKeyFile")


def _asks(holder: Draft) -> bool | None:
    """Return whether the kubelets ask the cluster for their certificate; None if the file does not say so here."""
    return (holder.get("kubelet") or {}).get("serverTLSBootstrap")


def certificates_are_possible(facts: Facts, report: Report) -> None:
    """With certificates from the bundle, kgen knows each listed machine's address, and pools ask for theirs."""
    pki = facts.root.section("pki")
    if not pki.get("kubeletServingCertificates"):
        return
    for machine in facts.machines:
        if machine.get("role") == "node" and not machine.is_given("address"):
            message = f"{_KEY} needs the address at which the API servers call {machine.get('name')}"
            report.error(machine.node, "K385", message, "add `address:`", key="address")
        if _asks(machine):
            message = f"{_KEY} gives this machine a certificate: its kubelet asks for none"
            place = facts.below("kubelet", "serverTLSBootstrap", holder=machine)
            report.error(place, "K108", message, "remove serverTLSBootstrap")
    for pool in facts.pools:
        asks = _asks(pool)
        if not (_asks(facts.root) if asks is None else asks):
            message = (
                f"{_KEY}: nobody knows the names of a pool's machines, so their kubelets must ask for certificates"
            )
            hint = "add `kubelet: {serverTLSBootstrap: true}`, or list the machines"
            report.error(facts.below("kubelet", "serverTLSBootstrap", holder=pool), "K385", message, hint)
    for holder in (facts.root, *facts.machines):
        for field in _FILES:
            if (holder.get("kubelet") or {}).get(field):
                message = f"{field} and {_KEY} cannot both be given"
                report.error(facts.below("kubelet", field, holder=holder), "K108", message, "remove one of them")


def somebody_approves(facts: Facts, report: Report) -> None:
    """Warn about kubelets that ask for a serving certificate: Kubernetes has nothing that approves such a request."""
    for holder in (facts.root, *facts.documents):
        if _asks(holder):
            message = (
                "each kubelet asks for its serving certificate, and Kubernetes has no approver: `kubectl logs`, `exec` "
                "and `port-forward` fail until you approve the request, and again when the certificate is renewed"
            )
            hint = (
                "`kubectl get csr` lists requests, `kubectl certificate approve NAME` approves one, after a look at it"
            )
            place = facts.below("kubelet", "serverTLSBootstrap", holder=holder)
            report.warn(place, "K933", message, hint)
