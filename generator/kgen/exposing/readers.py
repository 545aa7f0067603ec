"""Who can read a place: the table, by the kind of the place and the provider of user-data."""

from __future__ import annotations

from kgen.exposing.kinds import PlaceKind
from kgen.facts import metadata_services
from kgen.facts.providers import PROVIDERS
from kgen.model import Cluster

_DISK = "you and root on this computer (mode 0600), and whoever has a backup or a copy of the file"
_TABLE: dict[PlaceKind, str] = {
    "bundle": _DISK,
    "encryptedBundle": "whoever has both a copy of the file and an identity or the passphrase that decrypts it; "
    "while kgen runs, root on this computer",
    "clusterFile": "whoever may read the cluster file, and the git repository that it is in",
    "kubeconfigs": _DISK,
    "api": _DISK,
    "documents": _DISK,
    "bucket": "administrators of the account; whoever has s3:GetObject, secretsmanager:GetSecretValue or "
    "ssm:GetParameter for it, and kms:Decrypt for its key: the roles of the machines, and so every program that gets "
    "their credentials from 169.254.169.254",
    "reviewTree": _DISK,
    "seeds": f"{_DISK}; whoever administers the hypervisor, or gets the disk that is attached to the machine",
    "lab": f"{_DISK}; root on the lab's machine",
    "sealKeys": f"{_DISK}; whatever brings the key to the machine: configuration management, or the hypervisor",
    "machines": "root on the machine, and whoever has its disk, a snapshot or a backup of it; privileged pods",
}
_ANY_PROVIDER = "whoever may read the machine's user-data, and every program on it that reaches a metadata service"
_FENCED = "; pods do not, except those with the machine's network"
_ALL_FENCED = "; pods do not"


def readers(kind: PlaceKind, cluster: Cluster) -> str:
    """Return who can read what lies in a place of this kind. ``metadataFence`` changes what pods can read."""
    fenced = _ALL_FENCED if cluster.metadata_fence_host_network else _FENCED
    if kind == "bucket":
        return _TABLE[kind] + (fenced if cluster.metadata_fence else "")
    if kind != "userData":
        return _TABLE[kind]
    row = PROVIDERS.get(cluster.provider)
    who, pods = (row.readers, row.pods) if row else (_ANY_PROVIDER, "")
    if cluster.metadata_fence and (row is None or row.name in metadata_services.PROVIDERS):
        pods = fenced if pods or row is None else ""
    return f"{who}{pods}; here: {_DISK}"
