"""The bootstrap token in the cluster: when it expires, and how to publish it again."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from kgen.content.objects import bootstrap_token
from kgen.errors import KgenError
from kgen.model import BootstrapToken
from kgen.running.components import NAMESPACE
from kgen.running.connection import Connection, RefusedError
from kgen.running.nodes import moment
from kgen.running.signature import cluster_info, is_signed

SIGNER_SECONDS = 60.0
"""The controller-manager signs within a second or two; on an emulated machine it takes longer."""

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.5
_FORBIDDEN, _NOT_FOUND, _CONFLICT = 403, 404, 409
_FREE = {"expiration", "description"}  # what may differ without a machine noticing

Signed = Literal["signed", "unsigned", "missing", "not meant to be"]


@dataclass(frozen=True, slots=True)
class TokenView:
    """The token's Secret in the cluster. ``expires`` is None if it never expires or does not exist (``exists``)."""

    secret: str
    exists: bool
    expires: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Return whether a machine can join with the token at ``now``."""
        return self.exists and (self.expires is None or self.expires > now)


@dataclass(frozen=True, slots=True)
class Use:
    """A machine that asked for its certificate with a token: the name of its Node, and when."""

    node: str
    when: datetime


@dataclass(frozen=True, slots=True)
class Renewed:
    """A published token.

    ``secret`` is ``namespace/name``. ``expires`` is None if it never expires. ``created``: the Secret was missing.
    """

    secret: str
    expires: datetime | None
    created: bool
    signed: Signed


def look(connection: Connection, token: str) -> TokenView:
    """Return the state of ``token``, ``<id>.<secret>`` or only ``<id>``."""
    name = secret_name(token)
    found = _read(connection, name)
    return TokenView(f"{NAMESPACE}/{name}", found is not None, _expiration(found or {}))


def secret_name(token: str) -> str:
    """Return the name of the Secret of ``token``, ``<id>.<secret>`` or only ``<id>``."""
    return f"bootstrap-token-{token.partition('.')[0]}"


def revoke(connection: Connection, token_id: str) -> None:
    """Delete the Secret of a token; a missing one is fine.

    Raises:
        SilentError: the API does not answer.
        KgenError: it refuses.
    """
    name = secret_name(token_id)
    try:
        connection.call("delete_namespaced_secret", name, NAMESPACE)
    except RefusedError as error:
        if error.status != _NOT_FOUND:
            raise _refused(error, name) from None


def uses(connection: Connection, token_id: str, since: datetime) -> tuple[Use, ...]:
    """Return who asked for a client certificate with the token after ``since``, the last use of each Node.

    Kubernetes removes these requests an hour after it has signed them.
    """
    found: dict[str, datetime] = {}
    for request in connection.signing_requests():
        spec, when = request.get("spec") or {}, moment(request["metadata"].get("creationTimestamp"))
        if spec.get("username") == f"system:bootstrap:{token_id}" and when is not None and when > since:
            node = _requested_name(spec.get("request") or "") or "?"
            found[node] = max(when, found.get(node, when))
    return tuple(Use(node, when) for node, when in sorted(found.items()))


def _requested_name(request: str) -> str:
    """Return the Node's name in a signing request, base64 of PEM."""
    from cryptography import x509

    try:
        (name,) = x509.load_pem_x509_csr(base64.b64decode(request)).subject.get_attributes_for_oid(
            x509.NameOID.COMMON_NAME
        )
    except ValueError:  # not base64, not a request, no name
        return ""
    return str(name.value).removeprefix("system:node:")


def renew(
    connection: Connection, settings: BootstrapToken, token: str, now: datetime, ttl: timedelta, patience: float
) -> Renewed:
    """Publish ``token`` until ``now`` + ``ttl`` (zero: never expires), and wait for its signature.

    A Secret that is there gets a new expiration; one that the cluster has removed is created again. ``patience``
    (seconds) is how long the controller-manager may take to sign cluster-info.

    Raises:
        SilentError: the API does not answer.
        KgenError: it refuses, or the Secret that is there is not the bundle's.
    """
    expires = (now + ttl).replace(microsecond=0) if ttl else None
    body = dict(bootstrap_token(settings, token).body)
    created = _publish(connection, body, expires)
    secret = f"{NAMESPACE}/{body['metadata']['name']}"
    signed = _wait_for_signature(connection, token, patience) if "signing" in settings.usages else "not meant to be"
    return Renewed(secret, expires, created, signed)


def _publish(connection: Connection, body: dict[str, Any], expires: datetime | None) -> bool:
    """Create the Secret, or set its expiration; return whether it was created. Others may do the same meanwhile."""
    name = body["metadata"]["name"]
    expiration = _encoded(expires)
    for _ in range(_ATTEMPTS):
        try:
            live = _read(connection, name)
            if live is None:
                data = {**body["data"], **({"expiration": expiration} if expiration else {})}
                connection.call("create_namespaced_secret", NAMESPACE, {**body, "data": data})
                return True
            _refuse_another(live, body)
            version = {"resourceVersion": live["metadata"]["resourceVersion"]}
            patch = {"metadata": version, "data": {"expiration": expiration}}
            connection.call("patch_namespaced_secret", name, NAMESPACE, patch)
        except RefusedError as error:
            if error.status not in (_NOT_FOUND, _CONFLICT):  # removed, created or changed in between
                raise _refused(error, name) from None
            time.sleep(_PAUSE_SECONDS)
        else:
            return False
    raise KgenError(f"Secret {NAMESPACE}/{name} was changed by someone else at every attempt", "run the command again")


def _refused(error: RefusedError, name: str) -> KgenError:
    if error.status == _FORBIDDEN:  # Kubernetes' message on anything else may quote the Secret
        hint = "check the ClusterRoleBinding kubeadm:cluster-admins, which gives the administrator its rights"
        return KgenError(error.message, hint)
    return KgenError(f"the API server refuses Secret {NAMESPACE}/{name} with status {error.status}")


def _refuse_another(live: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    has, wanted = live.get("data") or {}, body["data"]
    differing = sorted(key for key in {*has, *wanted} - _FREE if has.get(key) != wanted.get(key))
    if differing:
        name = f"{NAMESPACE}/{body['metadata']['name']}"
        hint = f"if unused, run `kubectl -n {NAMESPACE} delete secret {body['metadata']['name']}`, and try again"
        raise KgenError(f"Secret {name} in the cluster differs from the bundle's: {', '.join(differing)}", hint)


def _read(connection: Connection, name: str) -> dict[str, Any] | None:
    try:
        return connection.call("read_namespaced_secret", name, NAMESPACE)
    except RefusedError as error:
        if error.status == _NOT_FOUND:
            return None
        raise


def _expiration(secret: Mapping[str, Any]) -> datetime | None:
    try:
        return moment(base64.b64decode((secret.get("data") or {}).get("expiration", "")).decode())
    except (binascii.Error, UnicodeDecodeError):
        return None


def _encoded(expires: datetime | None) -> str | None:
    """Return the value of ``data.expiration``; None, with which a patch removes it, for a token without expiry."""
    if expires is None:
        return None
    return base64.b64encode(expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()).decode()


def _wait_for_signature(connection: Connection, token: str, patience: float) -> Signed:
    deadline = time.monotonic() + patience
    while True:
        found = cluster_info(connection)
        if found is None:
            return "missing"
        if is_signed(found, token):
            return "signed"
        if time.monotonic() >= deadline:
            return "unsigned"
        time.sleep(_PAUSE_SECONDS)
