"""Every object the masters publish, in publish order."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kgen import __version__, versions
from kgen.config import api_kinds
from kgen.config.model import BootstrapToken, Cluster
from kgen.errors import InputError
from kgen.payload import ApiObject
from kgen.render import addons, component_config, engine, kubeadm_config, kubeconfig, kubelet


def api_objects(cluster: Cluster, tokens: Sequence[str]) -> tuple[ApiObject, ...]:
    """Return the objects in the order the masters publish them.

    ``tokens`` are the bootstrap tokens, ``<id>.<secret>``, in the order of ``cluster.bootstrap_tokens``. The first
    object gives admin.conf its rights, the last one says that publishing is over; the user's come before it.

    Raises:
        InputError: an object of the user's is one of kgen's own: whatever exists is never changed.
    """
    *own, last = _objects(cluster, tokens)
    paths = {f"{entry.collection}/{entry.name}" for entry in (*own, last)}
    for manifest in cluster.manifests:
        kind, name = manifest.body["kind"], manifest.body["metadata"]["name"]
        if f"{manifest.collection}/{name}" in paths:
            hint = "remove it; `dns: {disabled: true}` and `proxy: {disabled: true}` make room for your own"
            raise InputError(f"{manifest.place}: kgen publishes {kind} {name} itself", hint)
    return (*own, *(ApiObject(entry.collection, entry.body) for entry in cluster.manifests), last)


def collection(body: Mapping[str, Any]) -> str:
    """Return the path of the API collection that ``body``, an object of kgen's own, is created in."""
    api_version = body["apiVersion"]
    kind = api_kinds.BUILT_IN[api_kinds.group_of(api_version), body["kind"]]
    return api_kinds.collection(api_version, kind, body["metadata"].get("namespace", ""))


def _objects(cluster: Cluster, tokens: Sequence[str]) -> Iterator[ApiObject]:
    binds_kubelet_client = versions.binds_kubelet_client(cluster.kubernetes_version)
    yield from map(_plain, engine.render_yaml("manifests/rbac.yaml.j2", binds_kubelet_client=binds_kubelet_client))
    for settings, token in zip(cluster.bootstrap_tokens, tokens, strict=True):
        yield bootstrap_token(settings, token)
    yield _cluster_info(cluster)
    yield _plain(_kubeadm_config(cluster))
    yield _plain(_kubelet_config(cluster))
    yield from map(_plain, addons.coredns(cluster))
    yield from map(_plain, addons.kube_proxy(cluster))
    yield _plain(_published(cluster))


def _plain(body: Mapping[str, Any]) -> ApiObject:
    return ApiObject(collection(body), body)


def _config_map(namespace: str, name: str, data: Mapping[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}


def bootstrap_token(settings: BootstrapToken, token: str) -> ApiObject:
    """Return the Secret of a bootstrap token; its expiration is set when it is published."""
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


def _cluster_info(cluster: Cluster) -> ApiObject:
    """Return cluster-info; its signatures are the controller-manager's."""
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
