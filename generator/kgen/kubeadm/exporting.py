"""A cluster → the configuration that kubeadm's own commands take on a machine of it.

Shape: kubeadm v1beta4, https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from kgen import engine
from kgen.config import own_values
from kgen.config.durations import go_duration
from kgen.config.fields import CLUSTER
from kgen.config.machine_fields import MACHINE
from kgen.content import kubelet
from kgen.content.kubeadm_config import cluster_configuration
from kgen.facts import names
from kgen.facts.labels import kubelet_may_set
from kgen.kubeadm import defaults, documents
from kgen.kubeadm.outline import item
from kgen.model import Cluster, Machine, NodeRegistration, Taint, Timeouts
from kgen.reader.objects import Object

_API = documents.V1BETA4
_COMPONENTS = {"kubelet": documents.KUBELET, "kubeProxy": documents.KUBE_PROXY}
_EXPORTED = frozenset(
    (
        *("name", "kubernetes_version", "machines", "pools", "networking", "cluster_name", "control_plane_endpoint"),
        *("api_server", "controller_manager", "scheduler", "etcd", "external_etcd", "dns", "proxy", "image_repository"),
        *("encryption_algorithm", "certificate_validity", "ca_certificate_validity", "timeouts"),
        *("hardening", "hardening_exceptions"),  # kubeadm has what they add
        *("feature_gates", "bootstrap_tokens", "kubelet", "kube_proxy", "patches"),
    )
)
_EXPORTED_OF_MACHINES = frozenset(
    (
        *("name", "role", "addresses", "is_pool", "labels", "taints", "registration", "bind_port", "patches"),
        "bootstrap_token",
    )
)
"""Fields of the model that kubeadm has, too."""
_MASTER_TAINTS = (Taint(names.LABEL_CONTROL_PLANE, "NoSchedule"),)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The bootstrap tokens, in the order of the cluster file, and the hash of the CA that machines trust.

    ``pool_tokens`` are those of pools with one of their own.
    """

    tokens: Sequence[str] = field(repr=False)
    ca_cert_hash: str
    pool_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)


def export(cluster: Cluster, machine: Machine, secrets: Secrets) -> str:
    """Return the configuration for a machine or pool, as a text that has the bootstrap tokens in it.

    A master's has InitConfiguration, ClusterConfiguration, the components' configurations where the cluster file has
    fields of them, and JoinConfiguration; each command takes what it needs. Another machine only joins.
    """
    missing = [*_without_field(cluster, machine)]
    machine = _without_own_values(machine)
    found = [*_init(cluster, machine, secrets)] if machine.role == "master" else []
    found.append(_join(cluster, machine, secrets))
    head = [
        f"kubeadm's configuration for {machine.name}, exported by kgen. It has the bootstrap token: keep it secret."
    ]
    if (directory := _patches(cluster, machine)) is not None:
        head.append(f"Copy {directory} beside this file and run kubeadm there: it has the patches.")
    if missing:
        head.append(f"kubeadm has no field for: {', '.join(missing)}.")
    lines = [f"# {line}\n" for text in head for line in textwrap.wrap(text, 110)]
    return "".join(lines) + "---\n".join(engine.to_yaml(document, sort_keys=False) for document in found)


def _init(cluster: Cluster, master: Machine, secrets: Secrets) -> Iterator[dict[str, Any]]:
    tokens = [
        {
            "token": token,
            "ttl": go_duration(settings.ttl),
            "usages": list(settings.usages),
            "groups": list(settings.groups),
            **({"description": settings.description} if settings.description else {}),
        }
        for settings, token in zip(cluster.bootstrap_tokens, secrets.tokens, strict=True)
    ]
    yield {
        "apiVersion": _API,
        "kind": documents.INIT,
        "bootstrapTokens": tokens,
        "localAPIEndpoint": _endpoint(master),
        "nodeRegistration": _registration(cluster, master),
        **_shared(cluster, master),
    }
    yield cluster_configuration(cluster)
    for key, given in (("kubelet", cluster.kubelet), ("kubeProxy", cluster.kube_proxy)):
        if given:
            version, kind = _COMPONENTS[key]
            yield {"apiVersion": version, "kind": kind, **defaults.component(key, item(dict(given))).plain}


def _join(cluster: Cluster, machine: Machine, secrets: Secrets) -> dict[str, Any]:
    token = {
        "apiServerEndpoint": str(cluster.endpoint),
        "token": secrets.pool_tokens.get(machine.name, secrets.tokens[0]),
        "caCertHashes": [secrets.ca_cert_hash],
    }
    control_plane = {"controlPlane": {"localAPIEndpoint": _endpoint(machine)}} if machine.role == "master" else {}
    return {
        "apiVersion": _API,
        "kind": documents.JOIN,
        "discovery": {"bootstrapToken": token},
        **control_plane,
        "nodeRegistration": _registration(cluster, machine),
        **_shared(cluster, machine),
    }


def _without_own_values(machine: Machine) -> Machine:
    """Return the machine without arguments and labels that it fills in itself: kubeadm would pass on their text."""
    given = machine.registration
    arguments = tuple(each for each in given.kubelet_extra_args if not own_values.are_there(each.value))
    labels = {key: value for key, value in machine.labels.items() if not own_values.are_there(value)}
    return replace(machine, labels=labels, registration=replace(given, kubelet_extra_args=arguments))


def _endpoint(master: Machine) -> dict[str, Any]:
    return {"advertiseAddress": str(master.address), "bindPort": master.bind_port}


def _registration(cluster: Cluster, machine: Machine) -> dict[str, Any]:
    given = machine.registration
    arguments = [
        *({"name": name, "value": value} for name, value in kubelet.own_arguments(cluster, machine).items()),
        *({"name": argument.name, "value": argument.value} for argument in given.kubelet_extra_args),
    ]
    found: dict[str, Any] = {} if machine.is_pool else {"name": machine.name}
    found["criSocket"] = given.cri_socket
    if machine.taints != (_MASTER_TAINTS if machine.role == "master" else ()):
        found["taints"] = [_taint(taint) for taint in machine.taints]
    if arguments:
        found["kubeletExtraArgs"] = arguments
    if given.ignore_preflight_errors:
        found["ignorePreflightErrors"] = list(given.ignore_preflight_errors)
    if given.image_pull_policy != NodeRegistration().image_pull_policy:
        found["imagePullPolicy"] = given.image_pull_policy
    return found


def _taint(taint: Taint) -> dict[str, str]:
    value = {"value": taint.value} if taint.value else {}
    return {"key": taint.key, **value, "effect": taint.effect}


def _shared(cluster: Cluster, machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if (directory := _patches(cluster, machine)) is not None:
        found["patches"] = {"directory": directory.name}
    if cluster.timeouts != Timeouts():
        kind = CLUSTER.by_key["timeouts"].kind
        assert isinstance(kind, Object)  # noqa: S101 a table that says otherwise is a bug
        keys = {row.target or "": row.key for row in kind.fields}
        found["timeouts"] = {
            keys[row.name]: go_duration(getattr(cluster.timeouts, row.name))
            for row in fields(Timeouts)
            if getattr(cluster.timeouts, row.name) != row.default
        }
    return found


def _patches(cluster: Cluster, machine: Machine) -> Path | None:
    given = cluster.patches if machine.patches is None else machine.patches
    return Path(given[0].file).parent if given else None


def _without_field(cluster: Cluster, machine: Machine) -> Iterator[str]:
    """Yield what a cluster file says and kubeadm's configuration cannot say, by the keys of the cluster file."""
    empty = Cluster(cluster.name, cluster.kubernetes_version, (), cluster.networking, "")
    bare = Machine(machine.name, machine.role)
    for given, usual, kind, exported in (
        (cluster, empty, CLUSTER, _EXPORTED),
        (machine, bare, MACHINE, _EXPORTED_OF_MACHINES),
    ):
        keys = {row.target: row.key for row in kind.fields}
        for row in fields(given):
            if row.name not in exported and getattr(given, row.name) != getattr(usual, row.name):
                yield keys.get(row.name) or row.name
    if cluster.networking.plugin != "none":
        yield "networking.plugin"
    for argument in machine.registration.kubelet_extra_args:
        if own_values.are_there(argument.value):
            yield f"{argument.name}={argument.value}"
    yield from (f"the label {key}={value}" for key, value in machine.labels.items() if own_values.are_there(value))
    yield from (f"the label {key}, which a kubelet may not set" for key in machine.labels if not kubelet_may_set(key))
