"""The signature of cluster-info, by which ``kubeadm join`` trusts it. The controller-manager signs."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from kgen.running.connection import Connection, RefusedError

NAMESPACE, NAME = "kube-public", "cluster-info"
_NOT_FOUND = 404


def cluster_info(connection: Connection) -> dict[str, Any] | None:
    """Return the ConfigMap, None when there is none.

    Raises:
        SilentError, RefusedError: it cannot be read.
    """
    try:
        return connection.call("read_namespaced_config_map", NAME, NAMESPACE)
    except RefusedError as error:
        if error.status == _NOT_FOUND:
            return None
        raise


def is_signed(config_map: Mapping[str, Any], token: str) -> bool:
    """Return whether the ConfigMap holds a signature with ``token``, ``<id>.<secret>``, and it fits the content.

    A detached JWS (RFC 7515, appendix F) with HS256, as kubeadm's discovery checks it.
    """
    token_id, _, secret = token.partition(".")
    data = config_map.get("data") or {}
    header, _, rest = str(data.get(f"jws-kubeconfig-{token_id}", "")).partition(".")
    payload = _base64url(str(data.get("kubeconfig", "")).encode())
    digest = hmac.new(secret.encode(), f"{header}.{payload}".encode(), hashlib.sha256).digest()
    return bool(header) and hmac.compare_digest(rest.removeprefix(".").encode(), _base64url(digest).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
