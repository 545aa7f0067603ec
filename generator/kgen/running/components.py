"""The static pods of the masters, as the API shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kgen.content.manifests import static_pods
from kgen.model import Cluster

NAMESPACE = "kube-system"
SELECTOR = "tier=control-plane"
"""A label of every static pod (templates/manifests/static-pod.yaml.j2, as kubeadm's)."""


@dataclass(frozen=True, slots=True)
class ComponentView:
    """One component on one master. ``message`` says why it is not ``ready``. ``version`` is the image's tag."""

    master: str
    name: str
    ready: bool
    message: str
    version: str = ""
    restarts: int = 0


def components(cluster: Cluster, pods: Iterable[Mapping[str, Any]]) -> tuple[ComponentView, ...]:
    """Return the expected components, in the order of masters and stages, then the unexpected ones."""
    found = {(view.master, view.name): view for view in map(_component, pods)}
    wanted = ((master.name, pod.name) for master in cluster.masters for pod in static_pods(cluster))
    listed = {place: found.pop(place, ComponentView(*place, False, "not there")) for place in wanted}
    return (*listed.values(), *(found[place] for place in sorted(found)))


def _component(pod: Mapping[str, Any]) -> ComponentView:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions") or ()}
    states = status.get("containerStatuses") or ()
    images = [container.get("image", "") for container in spec.get("containers") or ()]
    ready = conditions.get("Ready") == "True"
    return ComponentView(
        master=spec.get("nodeName", ""),
        name=(pod["metadata"].get("labels") or {}).get("component", pod["metadata"]["name"]),
        ready=ready,
        message="" if ready else ", ".join(_reasons(states)) or status.get("phase", "") or "not ready",
        version=images[0].rpartition(":")[2] if images else "",
        restarts=sum(state.get("restartCount", 0) for state in states),
    )


def _reasons(states: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the reason for each container that is not ready."""
    for state in states:
        if not state.get("ready"):
            now = state.get("state") or {}
            reason = (now.get("waiting") or now.get("terminated") or {}).get("reason")
            yield reason or ("running, not ready" if "running" in now else "not started")
