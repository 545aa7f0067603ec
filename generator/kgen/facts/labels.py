"""The labels that a kubelet may set on its own Node."""

from __future__ import annotations

_RESERVED_DOMAINS = ("kubernetes.io", "k8s.io")
_OWN_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_ALLOWED = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)


def kubelet_may_set(key: str) -> bool:
    """Return whether ``--node-labels`` takes the label; others need an administrator's credential.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction.
    """
    domain, slash, _ = key.rpartition("/")
    if not slash or key in _ALLOWED or _is_below(domain, _OWN_DOMAINS):
        return True
    return not _is_below(domain, _RESERVED_DOMAINS)


def _is_below(domain: str, parents: tuple[str, ...]) -> bool:
    return any(domain == parent or domain.endswith("." + parent) for parent in parents)
