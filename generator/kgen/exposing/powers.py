"""The table of secrets: what somebody who has one can do with it.

Sources: https://kubernetes.io/docs/setup/best-practices/certificates/ and the groups that the certificates name
(``pki/table.py``).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from kgen.facts import names

Reach = Literal["cluster", "machine", "join", "login", "proxy"]
"""What is lost with a secret: the whole cluster, one machine's part, a place as a node, a login, the HTTP proxy."""

_ETCD = "read and change everything in etcd, and so every Secret of the cluster"

KEYS: dict[str, tuple[Reach, str]] = {
    "ca": ("cluster", "issue any client certificate, and so be administrator until the CA is replaced"),
    "etcd/ca": ("cluster", f"issue clients of etcd: {_ETCD}"),
    "front-proxy-ca": ("cluster", "issue front-proxy clients: act as any user of the API"),
    "sa": ("cluster", "sign tokens of any service account, also of those that administer the cluster"),
    "admin": ("cluster", "be administrator until the certificate expires; RBAC can revoke it"),
    "super-admin": ("cluster", "be administrator until the certificate expires; nothing can revoke it"),
    "apiserver-kubelet-client": ("cluster", "run commands in every pod and read its logs, through the kubelets"),
    "front-proxy-client": ("cluster", "act as any user of the API"),
    "etcd/server": ("cluster", f"pass for an etcd member, and be its client: {_ETCD}"),
    "etcd/peer": ("cluster", f"join etcd's members: {_ETCD}"),
    "etcd/healthcheck-client": ("cluster", _ETCD),
    "apiserver-etcd-client": ("cluster", _ETCD),
    "controller-manager": ("cluster", "act as kube-controller-manager, which reads every Secret and makes tokens"),
    "scheduler": ("cluster", "act as kube-scheduler: read all pods and place them"),
    "apiserver": ("machine", "pass for this API server, and so collect the credentials of its clients"),
    "kubelet": ("machine", "act as this machine's kubelet: read the Secrets of its pods, change its Node"),
    "kubelet-serving": ("machine", "pass for this machine's kubelet: read and fake what kubectl exec and logs carry"),
}
TOKEN: tuple[Reach, str] = (
    "join",
    "join as a node of any name, also one that is there, while the token is valid, and read the Secrets of its pods",
)
PASSWORD_HASH: tuple[Reach, str] = ("login", "guess the password offline, and log in on every machine with it")
PASSWORD: tuple[Reach, str] = ("login", "log in on every machine with it")
ENCRYPTION: tuple[Reach, str] = ("cluster", "read every encrypted object in a copy or a backup of etcd's data")
SEAL: tuple[Reach, str] = (
    "machine",
    "open the machine's sealed payload, and have every secret that is in it",
)
PROXY: tuple[Reach, str] = ("proxy", "use the HTTP proxy in the cluster's name")


def of_key(name: str, groups: Collection[str]) -> tuple[Reach, str]:
    """Return reach and power of the key of a certificate of ``pki/table.py``; ``groups`` are those that it names."""
    return KEYS["admin" if names.GROUP_CLUSTER_ADMINS in groups else name]
