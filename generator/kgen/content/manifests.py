"""The table of a master's static pods, which share one template.

Facts: the manifests that ``kubeadm init --dry-run`` prints. The flags are in ``flags``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from kgen import engine
from kgen.conditions import Condition, always, has_local_etcd
from kgen.content import environment, flags, images, patches, volumes
from kgen.facts import names, versions
from kgen.model import Argument, Cluster, Component, LocalEtcd, Machine, Volume
from kgen.payload import Stage

_PERIOD = timedelta(seconds=10)
"""The seconds between two startup probes."""


@dataclass(frozen=True, slots=True)
class Listener:
    """The address of a component's probes. With an empty ``host`` the kubelet uses the pod's address."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Probes:
    """The URL paths of a component's probes; empty: no such probe. The template has most of their periods."""

    liveness: str
    startup: str
    readiness: str = ""


@dataclass(frozen=True, slots=True)
class StaticPod:
    """A row of the table: everything that differs between the components."""

    name: str
    stage: Stage
    image: Callable[[Cluster], str]
    flags: Callable[[Cluster, Machine], Mapping[str, str]]
    settings: Callable[[Cluster], Component | LocalEtcd]
    annotations: Callable[[Machine], Mapping[str, str]]
    listener: Callable[[Cluster, Machine], Listener]
    probes: Probes
    requests: Mapping[str, str]
    volumes: Callable[[Cluster], Sequence[Volume]]
    when: Condition = always
    """Return whether a cluster has this static pod."""


def _apiserver_listener(cluster: Cluster, machine: Machine) -> Listener:
    return Listener("HTTPS", str(machine.address), machine.bind_port)


def _local_listener(extra: Sequence[Argument], port: int) -> Listener:
    """Return the listener of a component with ``--bind-address``; its host is empty if that is every address."""
    host = flags.last(extra, "bind-address", "127.0.0.1")
    return Listener("HTTPS", "" if _is_unspecified(host) else host, port)


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _controller_manager_listener(cluster: Cluster, machine: Machine) -> Listener:
    return _local_listener(cluster.controller_manager.extra_args, names.CONTROLLER_MANAGER_PORT)


def _scheduler_listener(cluster: Cluster, machine: Machine) -> Listener:
    return _local_listener(cluster.scheduler.extra_args, names.SCHEDULER_PORT)


def _etcd_listener(cluster: Cluster, machine: Machine) -> Listener:
    """Return the first of etcd's metrics URLs: the user's if it is a URL, else kubeadm's."""
    loopback = flags.loopback(machine).strip("[]")
    urls = flags.last(cluster.etcd.extra_args, "listen-metrics-urls", "")
    try:
        url = urlsplit(urls.split(",")[0])
        if url.scheme and url.hostname:
            return Listener(url.scheme.upper(), url.hostname, url.port or names.ETCD_METRICS_PORT)
    except ValueError:  # not a URL: etcd reports it when it starts
        pass
    return Listener("HTTP", loopback, names.ETCD_METRICS_PORT)


def _no_annotations(machine: Machine) -> Mapping[str, str]:
    return {}


STATIC_PODS: tuple[StaticPod, ...] = (
    StaticPod(
        name="etcd",
        stage="etcd",
        image=images.etcd,
        flags=flags.etcd,
        settings=lambda cluster: cluster.etcd,
        annotations=lambda machine: {
            "kubeadm.kubernetes.io/etcd.advertise-client-urls": flags.etcd_client_url(machine)
        },
        listener=_etcd_listener,
        probes=Probes(liveness="/livez", readiness="/readyz", startup="/readyz"),
        requests={"cpu": "100m", "memory": "100Mi"},
        volumes=volumes.etcd,
        when=has_local_etcd,
    ),
    StaticPod(
        name="kube-apiserver",
        stage="apiserver",
        image=lambda cluster: images.component(cluster, "kube-apiserver"),
        flags=flags.apiserver,
        settings=lambda cluster: cluster.api_server,
        annotations=lambda machine: {
            "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": f"{machine.host}:{machine.bind_port}"
        },
        listener=_apiserver_listener,
        probes=Probes(liveness="/livez", readiness="/readyz", startup="/livez"),
        requests={"cpu": "250m"},
        volumes=volumes.apiserver,
    ),
    StaticPod(
        name="kube-controller-manager",
        stage="controllers",
        image=lambda cluster: images.component(cluster, "kube-controller-manager"),
        flags=flags.controller_manager,
        settings=lambda cluster: cluster.controller_manager,
        annotations=_no_annotations,
        listener=_controller_manager_listener,
        probes=Probes(liveness="/healthz", startup="/healthz"),
        requests={"cpu": "200m"},
        volumes=volumes.controller_manager,
    ),
    StaticPod(
        name="kube-scheduler",
        stage="controllers",
        image=lambda cluster: images.component(cluster, "kube-scheduler"),
        flags=flags.scheduler,
        settings=lambda cluster: cluster.scheduler,
        annotations=_no_annotations,
        listener=_scheduler_listener,
        probes=Probes(liveness="/livez", readiness="/readyz", startup="/livez"),
        requests={"cpu": "100m"},
        volumes=volumes.scheduler,
    ),
)
"""In the order they start."""


def static_pods(cluster: Cluster) -> tuple[StaticPod, ...]:
    """Return the rows that ``cluster`` has, in the order they start."""
    return tuple(pod for pod in STATIC_PODS if pod.when(cluster))


def path(pod: StaticPod) -> PurePosixPath:
    """Return the path of the manifest on the machine."""
    return names.MANIFESTS_DIR / f"{pod.name}.yaml"


def manifest(pod: StaticPod, cluster: Cluster, machine: Machine) -> str:
    """Return the text of one manifest of a master.

    Raises:
        ProblemsError: a patch for it cannot be applied.
    """
    settings = pod.settings(cluster)
    listener = pod.listener(cluster, machine)
    mounts = _mounts(pod, cluster, settings)
    has_named_port = versions.names_probe_ports(cluster.kubernetes_version)
    text = engine.render_text(
        "manifests/static-pod.yaml.j2",
        name=pod.name,
        annotations=pod.annotations(machine),
        command=[pod.name, *flags.join(pod.flags(cluster, machine), settings.extra_args)],
        env=_env(cluster, settings),
        image=pod.image(cluster),
        target=_probe_target(listener, "probe-port" if has_named_port else listener.port),
        liveness=pod.probes.liveness,
        readiness=pod.probes.readiness,
        startup=pod.probes.startup,
        startup_failures=-(-cluster.timeouts.control_plane_component_health_check // _PERIOD),
        named_port=listener.port if has_named_port else None,
        requests=pod.requests,
        mounts=mounts,
        volumes=sorted(mounts, key=lambda volume: volume.name),
    )
    return patches.patched_text(cluster, machine, pod.name, text)


def etcd_health_url(cluster: Cluster, machine: Machine) -> str:
    """Return the URL of the startup probe of a master's etcd."""
    etcd = next(pod for pod in STATIC_PODS if pod.name == "etcd")
    return _health_url(etcd, etcd.listener(cluster, machine))


def controller_health_urls(cluster: Cluster) -> list[tuple[str, str]]:
    """Return name and health URL of the components of the last stage, at the port they listen on."""
    first = cluster.masters[0]
    urls = []
    for pod in static_pods(cluster):
        if pod.stage == "controllers":
            listener = pod.listener(cluster, first)
            port = flags.last(pod.settings(cluster).extra_args, "secure-port", "")
            moved = replace(listener, port=int(port)) if port.isdecimal() else listener
            urls.append((pod.name, _health_url(pod, moved)))
    return urls


def _health_url(pod: StaticPod, listener: Listener) -> str:
    """Return a component's health URL on its own machine; loopback if it listens on every address."""
    host = "127.0.0.1" if not listener.host or _is_unspecified(listener.host) else listener.host
    authority = f"[{host}]:{listener.port}" if ":" in host else f"{host}:{listener.port}"
    return f"{listener.scheme.lower()}://{authority}{pod.probes.startup}"


def _probe_target(listener: Listener, port: str | int) -> dict[str, str | int]:
    host = {"host": listener.host} if listener.host else {}
    return {**host, "port": port, "scheme": listener.scheme}


def _env(cluster: Cluster, settings: Component | LocalEtcd) -> list[dict[str, Any]]:
    """Return a container's environment: the proxies (not for etcd), then the cluster file's ``extraEnvs``."""
    proxies = [] if isinstance(settings, LocalEtcd) else environment.proxy_variables(cluster)
    return environment.merge(proxies, settings.extra_envs)


def _mounts(pod: StaticPod, cluster: Cluster, settings: Component | LocalEtcd) -> Sequence[Volume]:
    """Return the volumes in the order of the mounts: sorted by name, except etcd's, which are as in the table."""
    own = pod.volumes(cluster)
    return own if isinstance(settings, LocalEtcd) else volumes.merge(own, settings.extra_volumes)
