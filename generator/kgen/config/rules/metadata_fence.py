"""Rules about ``metadataFence``: there is a service to keep pods from; pods of the host network can be told apart."""

from __future__ import annotations

from kgen.config.rules.facts import Facts
from kgen.facts import metadata_services
from kgen.facts.providers import PROVIDERS
from kgen.reader.report import Report

_PODS_GROUP = {"cgroupDriver": "systemd", "cgroupRoot": "", "cgroupsPerQOS": True}
"""The fields of KubeletConfiguration whose defaults, which stand here, put all pods into kubepods.slice."""


def host_network_belongs_to_the_fence(facts: Facts, report: Report) -> None:
    """``metadataFenceHostNetwork`` makes the fence wider."""
    if facts.root.get("metadataFenceHostNetwork") and facts.root.get("metadataFence") is False:
        message = "metadataFenceHostNetwork changes nothing without metadataFence"
        report.error(facts.root.key_at("metadataFenceHostNetwork"), "K761", message, "add `metadataFence: true`")


def pods_have_their_control_group(facts: Facts, report: Report) -> None:
    """The rules for pods of the host network name the control group that has all pods."""
    if not facts.root.get("metadataFenceHostNetwork"):
        return
    for holder in (facts.root, *facts.documents):
        for field, default in _PODS_GROUP.items():
            if (holder.get("kubelet") or {}).get(field, default) != default:
                is_own = holder is not facts.root
                place = facts.below("kubelet", field, holder=holder if is_own else None)
                message = f"metadataFenceHostNetwork needs all pods in kubepods.slice, and {field} puts them elsewhere"
                report.error(place, "K762", message, f"remove {field}, or remove metadataFenceHostNetwork")


def provider_has_a_service(facts: Facts, report: Report) -> None:
    """Warn if the provider has no metadata service whose address the fence knows."""
    provider = facts.root.get("provider")
    if facts.root.get("metadataFence") and provider and provider not in metadata_services.PROVIDERS:
        message = f"metadataFence keeps pods from nothing at {PROVIDERS[provider].title}"
        hint = "remove it, or keep pods from the virtual router by a network policy" if provider == "cloudstack" else ""
        report.warn(facts.root.key_at("metadataFence"), "K936", message, hint or "remove it, unless you mean it")
