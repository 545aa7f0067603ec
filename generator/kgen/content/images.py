"""The image references that ``kubeadm config images list`` of the same version prints."""

from __future__ import annotations

from kgen.facts import names
from kgen.facts.versions import release_of
from kgen.model import Cluster


def component(cluster: Cluster, name: str) -> str:
    """Return the image of a component of the Kubernetes release, such as ``kube-apiserver`` or ``kube-proxy``."""
    return f"{cluster.image_repository}/{name}:{cluster.kubernetes_version}"


def etcd(cluster: Cluster) -> str:
    """Return etcd's image; ``etcd.local`` may override repository and tag."""
    repository = cluster.etcd.image_repository or cluster.image_repository
    return f"{repository}/etcd:{cluster.etcd.image_tag or release_of(cluster.kubernetes_version).etcd}"


def pause(cluster: Cluster) -> str:
    """Return the pause image, which containerd uses for the sandbox of each pod."""
    return f"{cluster.image_repository}/pause:{release_of(cluster.kubernetes_version).pause}"


def coredns(cluster: Cluster) -> str:
    """Return CoreDNS' image; ``dns`` may override repository and tag.

    In the default registry its path is one level deeper than in any other.
    """
    repository = cluster.dns.image_repository or cluster.image_repository
    path = "coredns/coredns" if repository == names.DEFAULT_IMAGE_REPOSITORY else "coredns"
    return f"{repository}/{path}:{cluster.dns.image_tag or release_of(cluster.kubernetes_version).coredns}"
