"""The table of objects that the masters publish, in publish order."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgen import __version__, engine
from kgen.conditions import Condition, always, binds_kubelet_client, has_coredns, has_kube_proxy
from kgen.content import addons, component_config, kubeadm_config, kubeconfig, kubelet
from kgen.errors import InputError
from kgen.facts import api_kinds
from kgen.model import BootstrapToken, Cluster
from kgen.payload import ApiObject


def api_objects(cluster: Cluster, tokens: Sequence[str]) -> tuple[ApiObject, ...]:
    """Return the objects in the order the masters publish them.

    ``tokens`` are the bootstrap tokens, ``<id>.<secret>``: those of ``cluster.bootstrap_tokens``, then those of pools,
    in the file's order. The user's objects come before the last one, which says that publishing is done.

    Raises:
        InputError: one of the user's objects is also one of kgen's. It could not be published, because the masters
            never change an object that exists.
    """
    *own, last = (entry for group in GROUPS if group.when(cluster) for entry in group.objects(cluster, tokens))
    paths = {f"{entry.collection}/{entry.name}" for entry in (*own, last)}
    for manifest in cluster.manifests:
        kind, name = manifest.body["kind"], manifest.body["metadata"]["name"]
        if f"{manifest.collection}/{name}" in paths:
            hint = "remove it; to use your own DNS or proxy, set `dns: {disabled: true}` or `proxy: {disabled: true}`"
            raise InputError(f"{manifest.place}: kgen publishes {kind} {name} itself", hint)
    return (*own, *(ApiObject(entry.collection, entry.body) for entry in cluster.manifests), last)


def collection(body: Mapping[str, Any]) -> str:
    """Return the path of the API collection in which ``body``, an object of kgen's own, is created."""
    api_version = body["apiVersion"]
    kind = api_kinds.BUILT_IN[api_kinds.group_of(api_version), body["kind"]]
    return api_kinds.collection(api_version, kind, body["metadata"].get("namespace", ""))


def _plain(body: Mapping[str, Any]) -> ApiObject:
    return ApiObject(collection(body), body)


def _config_map(namespace: str, name: str, data: Mapping[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}


def bootstrap_token(settings: BootstrapToken, token: str) -> ApiObject:
    """Return the Secret of a bootstrap token; the runner sets its expiration when it publishes the Secret."""
    token_id, token_secret = token.split(".")
    values = {"token-id": token_id, "token-secret": token_secret}
    if settings.description:
        values["description"] = settings.description
    if settings.groups:
        values["auth-extra-groups"] = ",".join(settings.groups)
    values |= {f"usage-bootstrap-{usage}": "true" for usage in settings.usages}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in sorted(values.items())},
    }
    return ApiObject(collection(body), body, ttl_seconds=int(settings.ttl.total_seconds()) or None)


def _bootstrap_tokens(cluster: Cluster, tokens: Sequence[str]) -> Iterator[ApiObject]:
    for settings, token in zip((*cluster.bootstrap_tokens, *cluster.pool_tokens.values()), tokens, strict=True):
        yield bootstrap_token(settings, token)


def _cluster_info(cluster: Cluster) -> ApiObject:
    """Return cluster-info without signatures, which the controller-manager adds."""
    body = _config_map("kube-public", "cluster-info", {})
    return ApiObject(collection(body), body, fill=((("data", "kubeconfig"), kubeconfig.cluster_info(cluster)),))


def _kubeadm_config(cluster: Cluster) -> dict[str, Any]:
    text = engine.to_yaml(kubeadm_config.cluster_configuration(cluster))
    return _config_map("kube-system", "kubeadm-config", {"ClusterConfiguration": text})


def _kubelet_config(cluster: Cluster) -> dict[str, Any]:
    data = {"kubelet": engine.to_yaml(kubelet.configuration(cluster))}
    return component_config.config_map("kubelet-config", data, generated=not cluster.kubelet, labels={})


def _published(cluster: Cluster) -> dict[str, Any]:
    facts = {
        "clusterName": cluster.cluster_name,
        "kubernetesVersion": str(cluster.kubernetes_version),
        "kgenVersion": __version__,
    }
    return _config_map("kube-system", "kgen", facts)


@dataclass(frozen=True, slots=True)
class Group:
    """A row of the table: objects that the same clusters have. ``objects`` takes the cluster and its tokens."""

    objects: Callable[[Cluster, Sequence[str]], Iterable[ApiObject]]
    when: Condition = always


def _template(name: str, when: Condition = always) -> Group:
    """Return the row of the objects in a file below templates/manifests/rbac."""
    return Group(lambda cluster, tokens: map(_plain, engine.render_yaml(f"manifests/rbac/{name}")), when)


GROUPS: tuple[Group, ...] = (
    _template("administrators.yaml"),
    _template("kubelet-client.yaml", when=binds_kubelet_client),
    _template("joining-nodes.yaml"),
    Group(_bootstrap_tokens),
    Group(lambda cluster, tokens: [_cluster_info(cluster)]),
    Group(lambda cluster, tokens: [_plain(_kubeadm_config(cluster))]),
    Group(lambda cluster, tokens: [_plain(_kubelet_config(cluster))]),
    Group(lambda cluster, tokens: map(_plain, addons.coredns(cluster)), when=has_coredns),
    Group(lambda cluster, tokens: map(_plain, addons.kube_proxy(cluster)), when=has_kube_proxy),
    Group(lambda cluster, tokens: [_plain(_published(cluster))]),
)
"""In publish order: admin.conf has no rights before the first object; the last one says that publishing is done."""
