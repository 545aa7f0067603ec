"""The addresses where the API may answer, and sentences for why it does not."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from kgen.errors import InputError
from kgen.facts import names
from kgen.model import Cluster

ANY_API_SERVER = "kubernetes"
"""A DNS name in the serving certificate of every API server (kubeadm's table of certificates)."""

Kind = Literal["network", "authority", "certificate"]

_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+")
_ANOTHER_AUTHORITY = {7, 18, 19, 20, 21}  # X509_V_ERR_*: bad signature, self-signed, no issuer
_CERTIFICATE = {
    9: "its certificate is not valid yet, or this computer's clock is behind",
    10: "its certificate has expired",
    62: "its certificate does not contain this name (apiServer.certSANs adds it)",
    64: "its certificate does not contain this address (apiServer.certSANs adds it)",
}
"""OpenSSL's verify codes: https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/."""


@dataclass(frozen=True, slots=True)
class Server:
    """``https://host:port`` of an API server; ``name``: what its certificate must be for, empty: the host."""

    url: str
    name: str = ""

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port as sockets take them."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or names.API_SERVER_PORT

    @property
    def tls_name(self) -> str:
        """Return the name that TLS asks for."""
        return self.name or self.address[0]


@dataclass(frozen=True, slots=True)
class Silence:
    """The reason why a server gave no usable answer. ``authority``: it showed a certificate of another CA."""

    server: Server
    kind: Kind
    reason: str


def candidates(cluster: Cluster, given: str = "") -> tuple[Server, ...]:
    """Return where to ask, in order: the server that was given, or the endpoint, then every master's own addresses.

    A given server may be a tunnel or a translated address: its certificate is accepted if it is any API server's of
    this cluster.

    Raises:
        InputError: ``given`` is not an address.
    """
    if given:
        return (replace(server_of(given, names.API_SERVER_PORT, "an API server"), name=ANY_API_SERVER),)
    urls = [cluster.server, *(url for master in cluster.masters for url in master.api_endpoints)]
    return tuple(Server(url) for url in dict.fromkeys(urls))


def server_of(text: str, port: int, what: str) -> Server:
    """Return the server that ``--server`` names: a URL, or a host with or without a port (default ``port``).

    Raises:
        InputError: ``text`` is not the address of ``what``.
    """
    scheme, separator, rest = text.partition("://")
    place = (rest if separator else text).removesuffix("/")
    host = _HOST.match(place)
    given = place[host.end() :] if host else ""
    good_port = not given or (re.fullmatch(r":[0-9]{1,5}", given) and 0 < int(given[1:]) < 65536)
    if host is None or not good_port or (separator and scheme != "https"):
        raise InputError(f"--server: {text!r} is not the address of {what}", "give https://HOST:PORT")
    return Server(f"https://{host[0]}{given or f':{port}'}")


def silence(server: Server, error: BaseException, patience_seconds: float) -> Silence:
    """Return what ``error``, from anywhere in a request to ``server``, means."""
    chain = tuple(_chain(error))
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            if cause.verify_code in _ANOTHER_AUTHORITY:
                return Silence(server, "authority", "it shows a certificate of another CA")
            return Silence(server, "certificate", _CERTIFICATE.get(cause.verify_code, cause.verify_message))
    for cause in chain:
        if isinstance(cause, socket.gaierror):
            return Silence(server, "network", "its name cannot be resolved")
        if isinstance(cause, ConnectionRefusedError):
            return Silence(server, "network", "connection refused")
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return Silence(server, "network", f"no answer within {patience_seconds:g} s")
    for cause in chain:
        if isinstance(cause, OSError) and cause.strerror:
            return Silence(server, "network", cause.strerror.lower())
    return Silence(server, "network", "the connection was closed")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield ``error`` and what caused it, as urllib3 (``reason``, ``args``) and Python keep it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        found = waiting.pop(0)
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            arguments = (argument for argument in found.args if isinstance(argument, BaseException))
            waiting += [getattr(found, "reason", None), found.__cause__, found.__context__, *arguments]
