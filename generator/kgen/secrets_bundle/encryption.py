"""The keys that encrypt objects in etcd: in the bundle, in the masters' EncryptionConfiguration, and their rotation.

The first key encrypts, every key decrypts (https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/). Because
API servers restart one after the other, a key first becomes known to all of them, then encrypts, and goes once nothing
is encrypted with it any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kgen import engine
from kgen.config.apiserver_files import with_parts
from kgen.errors import InputError
from kgen.facts.apiserver_files import ENCRYPTION_PATH
from kgen.model import Cluster, File
from kgen.secrets_bundle.model import EncryptionKey
from kgen.secrets_bundle.source import Source

_IDENTITY = EncryptionKey("identity", "", "")
"""What does not encrypt: it reads what was written before, and writes what must not be encrypted any more."""

REWRITE = "kubectl get {resources} --all-namespaces -o json | kubectl replace -f -"


@dataclass(frozen=True, slots=True)
class Stage:
    """The keys after a step of a rotation, and what that step is: ``added``, ``encrypts`` or ``removed``."""

    keys: tuple[EncryptionKey, ...]
    name: str
    key: str


def assign(
    cluster: Cluster, kept: Sequence[EncryptionKey], source: Source, *, is_new: bool
) -> tuple[EncryptionKey, ...]:
    """Return the keys of ``cluster``: those that are kept, or a first one if it wants encryption.

    In a cluster that may run (not ``is_new``) with several masters, the first key only decrypts until a rotation.

    Raises:
        InputError: nothing is to be encrypted any more, and there are keys.
    """
    provider = cluster.api_server.encryption.provider
    if not provider:
        if any(key.secret for key in kept):
            message = (
                "apiServer.encryption is gone, or the `hardening: cis` that stood for it, "
                "and the API servers could not read what is encrypted in etcd"
            )
            hint = (
                f"write `apiServer: {{encryption: {{provider: {_newest(kept).provider}}}}}`; to decrypt: "
                "`provider: identity`, then `kgen encryption rotate CLUSTER_FILE` in its steps"
            )
            raise InputError(message, hint)
        return ()
    if kept:
        return tuple(kept)
    if provider == _IDENTITY.provider:
        return (_IDENTITY,)
    first = EncryptionKey(provider, "key1", source.encryption_key())
    return (first, _IDENTITY) if is_new or len(cluster.masters) == 1 else (_IDENTITY, first)


def rotate(cluster: Cluster, keys: Sequence[EncryptionKey], source: Source, *, rewritten: bool) -> Stage:
    """Return the keys after the next step.

    Raises:
        InputError: there is nothing to do, or the next step removes keys and nobody says that nothing needs them.
    """
    provider = cluster.api_server.encryption.provider
    if not provider:
        raise InputError(
            "the cluster encrypts nothing", "add `apiServer: {encryption: {provider: secretbox}}` and render"
        )
    first, secret = keys[0], [key for key in keys if key.secret]
    newest = max(secret, key=_number, default=None)
    wanted = _IDENTITY if provider == _IDENTITY.provider else newest
    if wanted == first and len(secret) > (wanted != _IDENTITY):
        if not rewritten:
            resources = ",".join(cluster.api_server.encryption.resources)
            hint = f"write everything again: `{REWRITE.format(resources=resources)}`; then add --rewritten"
            raise InputError("the next step removes keys, and what they encrypt could never be read again", hint)
        kept = [wanted] if wanted == _IDENTITY else [wanted, _IDENTITY]
        gone = ", ".join(key.name for key in secret if key not in kept)
        return Stage(tuple(kept), "removed", gone)
    if wanted is not None and wanted != first:
        rest = [key for key in keys if key not in (wanted, _IDENTITY)]
        return Stage(
            (wanted, *rest, *([] if wanted == _IDENTITY else [_IDENTITY])), "encrypts", wanted.name or "identity"
        )
    if wanted == _IDENTITY:
        raise InputError("nothing is encrypted", "remove `encryption:` from the cluster file and render")
    added = EncryptionKey(provider, f"key{_number(newest) + 1 if newest else 1}", source.encryption_key())
    rest = [key for key in keys if key != _IDENTITY]
    order = (_IDENTITY, *rest, added) if first == _IDENTITY else (*rest, added, _IDENTITY)
    return Stage(order, "added", added.name)


def with_keys(cluster: Cluster, keys: Sequence[EncryptionKey]) -> Cluster:
    """Return the cluster whose masters have an EncryptionConfiguration with ``keys``; without keys, ``cluster``."""
    if not keys:
        return cluster
    return with_parts(cluster, [File(ENCRYPTION_PATH, _configuration(cluster, keys), 0o600)], (), ())


def _configuration(cluster: Cluster, keys: Sequence[EncryptionKey]) -> str:
    providers: list[dict[str, Any]] = [
        {key.provider: {"keys": [{"name": key.name, "secret": key.secret}]} if key.secret else {}} for key in keys
    ]
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": list(cluster.api_server.encryption.resources), "providers": providers}],
    }
    return engine.to_yaml(document)


def _newest(keys: Sequence[EncryptionKey]) -> EncryptionKey:
    return max((key for key in keys if key.secret), key=_number)


def _number(key: EncryptionKey) -> int:
    return int(key.name.removeprefix("key") or 0)


def is_behind(cluster: Cluster, keys: Sequence[EncryptionKey]) -> bool:
    """Return whether what is written now is encrypted in another way than the cluster file says."""
    return bool(keys) and keys[0].provider != cluster.api_server.encryption.provider
