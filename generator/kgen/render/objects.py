"""Every object the masters publish, in publish order."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kgen import __version__
from kgen.config.model import BootstrapToken, Cluster
from kgen.payload import ApiObject
from kgen.render import addons, component_config, engine, kubeadm_config, kubeconfig, kubelet

COLLECTIONS: dict[str, tuple[str, str, bool]] = {
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "ConfigMap": ("v1", "configmaps", True),
    "DaemonSet": ("apps/v1", "daemonsets", True),
    "Deployment": ("apps/v1", "deployments", True),
    "Role": ("rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings", True),
    "Secret": ("v1", "secrets", True),
    "Service": ("v1", "services", True),
    "ServiceAccount": ("v1", "serviceaccounts", True),
}
"""Kind → API version, name of its collection, and whether it lives in a namespace."""


def api_objects(cluster: Cluster, tokens: Sequence[str]) -> tuple[ApiObject, ...]:
    """Return the objects in the order the masters publish them.

    ``tokens`` are the bootstrap tokens, ``<id>.<secret>``, in the order of ``cluster.bootstrap_tokens``. The first
    object gives admin.conf its rights, the last one says that publishing is over.
    """
    return tuple(_objects(cluster, tokens))


def collection(body: Mapping[str, Any]) -> str:
    """Return the path of the API collection that ``body`` is created in."""
    api_version, plural, namespaced = COLLECTIONS[body["kind"]]
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    return f"{root}/namespaces/{body['metadata']['namespace']}/{plural}" if namespaced else f"{root}/{plural}"


def _objects(cluster: Cluster, tokens: Sequence[str]) -> Iterator[ApiObject]:
    yield from map(_plain, engine.render_yaml("manifests/rbac.yaml.j2"))
    for settings, token in zip(cluster.bootstrap_tokens, tokens, strict=True):
        yield _bootstrap_token(settings, token)
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


def _bootstrap_token(settings: BootstrapToken, token: str) -> ApiObject:
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
