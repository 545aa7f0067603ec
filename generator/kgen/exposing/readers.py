"""Who can read a place: the table, by the kind of the place and the provider of user-data."""

from __future__ import annotations

from kgen.exposing.kinds import PlaceKind
from kgen.facts.providers import PROVIDERS

_DISK = "you and root on this computer (mode 0600), and whoever has a backup or a copy of the file"
_TABLE: dict[PlaceKind, str] = {
    "bundle": _DISK,
    "encryptedBundle": "whoever has both a copy of the file and an identity or the passphrase that decrypts it; "
    "while kgen runs, root on this computer",
    "clusterFile": "whoever may read the cluster file, and the git repository that it is in",
    "kubeconfigs": _DISK,
    "api": _DISK,
    "documents": _DISK,
    "bucket": "whoever has s3:GetObject or secretsmanager:GetSecretValue for it, and kms:Decrypt for its key: the "
    "roles of the machines, and so every program that gets their credentials from 169.254.169.254; "
    "administrators of the account",
    "reviewTree": _DISK,
    "seeds": f"{_DISK}; whoever administers the hypervisor, or gets the disk that is attached to the machine",
    "lab": f"{_DISK}; root on the lab's machine",
    "machines": "root on the machine, and whoever has its disk, a snapshot or a backup of it; privileged pods",
}
_ANY_PROVIDER = "whoever may read the machine's user-data, and every program on it that reaches a metadata service"


def readers(kind: PlaceKind, provider: str) -> str:
    """Return who can read what lies in a place of this kind."""
    if kind != "userData":
        return _TABLE[kind]
    row = PROVIDERS.get(provider)
    return f"{row.readers if row else _ANY_PROVIDER}; here: {_DISK}"
