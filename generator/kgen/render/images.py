"""Image references, chosen as ``kubeadm config images list`` of the same version chooses them."""

from __future__ import annotations

from kgen import names
from kgen.config.model import Cluster
from kgen.versions import release_of


def component(cluster: Cluster, name: str) -> str:
    """Return the image of a component that is released with Kubernetes: ``kube-apiserver``, ``kube-proxy``, …."""
    return f"{cluster.image_repository}/{name}:{cluster.kubernetes_version}"


def etcd(cluster: Cluster) -> str:
    """Return etcd's image; ``etcd.local`` may override repository and tag."""
    repository = cluster.etcd.image_repository or cluster.image_repository
    return f"{repository}/etcd:{cluster.etcd.image_tag or release_of(cluster.kubernetes_version).etcd}"


def pause(cluster: Cluster) -> str:
    """Return the image of pods' sandboxes."""
    return f"{cluster.image_repository}/pause:{release_of(cluster.kubernetes_version).pause}"


def coredns(cluster: Cluster) -> str:
    """Return CoreDNS' image; ``dns`` may override repository and tag.

    The default registry holds it one level deeper than kubeadm expects it in any other.
    """
    repository = cluster.dns.image_repository or cluster.image_repository
    path = "coredns/coredns" if repository == names.DEFAULT_IMAGE_REPOSITORY else "coredns"
    return f"{repository}/{path}:{cluster.dns.image_tag or release_of(cluster.kubernetes_version).coredns}"
