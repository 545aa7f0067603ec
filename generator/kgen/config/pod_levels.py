"""Pods of the user's manifests that Pod Security's level ``baseline`` refuses, which ``hardening: cis`` enforces.

The API server takes such a Deployment or DaemonSet and makes no pod of it, so nobody sees the reason. Facts:
https://kubernetes.io/docs/concepts/security/pod-security-standards/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kgen.config.rules.facts import Facts
from kgen.errors import Problem
from kgen.model import Manifest

_LABEL = "pod-security.kubernetes.io/enforce"
_EXEMPT = "kube-system"
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"),
        ("spec", "template", "spec"),
    ),
}
"""Where the kinds with pods have the pod's ``spec``."""

_CAPABILITIES = frozenset(
    (
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    )
)
"""Capabilities that ``baseline`` lets a container add."""


def warnings(manifests: Sequence[Manifest], facts: Facts) -> Iterator[Problem]:
    """Yield a warning for each object whose pods ``hardening: cis`` would refuse."""
    if not any(check.number == "pod-security" for check in facts.hardening):
        return
    labels = {
        each.body["metadata"]["name"]: (each.body["metadata"].get("labels") or {}).get(_LABEL)
        for each in manifests
        if each.body["kind"] == "Namespace"
    }
    for each in manifests:
        metadata = each.body["metadata"]
        namespace = str(metadata.get("namespace") or "default")
        spec: Any = each.body if each.body["kind"] in _TEMPLATES else {}
        for key in _TEMPLATES.get(each.body["kind"], ()):
            spec = spec.get(key) if isinstance(spec, dict) else None
        if not isinstance(spec, dict) or namespace == _EXEMPT or labels.get(namespace) == "privileged":
            continue
        found = sorted(set(_above_baseline(spec)))
        if found:
            file, line, column = each.place.rsplit(":", 2)
            message = (
                f"{each.body['kind']} {metadata['name']} gets no pods in the namespace {namespace}: `hardening: cis` "
                f"enforces the level baseline, without {', '.join(found)}"
            )
            hint = f"give the Namespace {namespace} the label `{_LABEL}: privileged`, or use kube-system"
            yield Problem(file, int(line), int(column), "", "K934", message, hint)


def _above_baseline(spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a pod's ``spec`` has that the level does not allow."""
    yield from (key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key) is True)
    if any("hostPath" in volume for volume in _mappings(spec.get("volumes"))):
        yield "hostPath"
    for key in ("containers", "initContainers", "ephemeralContainers"):
        for container in _mappings(spec.get(key)):
            if any(port.get("hostPort") for port in _mappings(container.get("ports"))):
                yield "hostPort"
            security = container.get("securityContext")
            security = security if isinstance(security, dict) else {}
            if security.get("privileged") is True:
                yield "privileged"
            capabilities = security.get("capabilities")
            added = capabilities.get("add") if isinstance(capabilities, dict) else None
            yield from (f"capability {name}" for name in added or () if name not in _CAPABILITIES)


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
