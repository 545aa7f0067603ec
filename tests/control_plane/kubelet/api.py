"""Requests to the API server with the credentials of a kubeconfig."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml


class ApiError(Exception):
    """The server's answer was not a success."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status} {body[:300].decode(errors='replace')}")
        self.status = status


@dataclass(frozen=True)
class Kubeconfig:
    """The current context of a kubeconfig: server, CA, and a certificate with key or a token."""

    server: str
    ca: str
    certificate: str
    key: str
    token: str

    @classmethod
    def load(cls, path: Path, root: Path) -> Kubeconfig:
        """Return the current context of the file; the paths it names are below ``root``."""
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], context["cluster"])["cluster"]
        user = _named(document["users"], context["user"])["user"]
        return cls(
            server=cluster["server"],
            ca=_text(cluster, "certificate-authority", root),
            certificate=_text(user, "client-certificate", root),
            key=_text(user, "client-key", root),
            token=user.get("token", ""),
        )

    def with_pair(self, pem: str) -> Kubeconfig:
        """Return the same access with another certificate and key, both in one PEM."""
        return Kubeconfig(self.server, self.ca, pem, "", "")


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _text(entry: dict[str, Any], key: str, root: Path) -> str:
    if f"{key}-data" in entry:
        return base64.b64decode(entry[f"{key}-data"]).decode()
    path = root / entry[key].lstrip("/") if key in entry else None
    return path.read_text() if path and path.exists() else ""


class Api:
    """One API server, one identity."""

    def __init__(self, access: Kubeconfig) -> None:
        self.url = urlsplit(access.server)
        self._token = access.token
        self._context = ssl.create_default_context(cadata=access.ca)
        self._context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as Go trusts an intermediate
        if access.certificate:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:  # load_cert_chain reads files only
                pair.write(access.certificate + access.key)
                pair.flush()
                self._context.load_cert_chain(pair.name)

    def call(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Any:
        """Return the parsed answer. Raises ApiError for any status but a success."""
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        assert self.url.hostname
        connection = http.client.HTTPSConnection(
            self.url.hostname, self.url.port or 443, context=self._context, timeout=10
        )
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise ApiError(answer.status, content)
        return json.loads(content)
