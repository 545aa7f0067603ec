"""Calls to the API of a running cluster: answers as the JSON that came, errors as one of two exceptions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

from kgen.errors import InputError, KgenError
from kgen.running.credential import Credential
from kgen.running.servers import Server, Silence, silence

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
"""Longer for the answer than for the connection, because an API server under load is slow."""


class SilentError(KgenError):
    """The server gave no usable answer; ``silence`` has the reason."""

    def __init__(self, silence: Silence) -> None:
        """Make one sentence of the reason."""
        super().__init__(f"{silence.server.url} cannot be used: {silence.reason}")
        self.silence = silence


class RefusedError(KgenError):
    """The API server answered, but not what was asked for: ``status`` is HTTP's, ``reason`` Kubernetes' own."""

    def __init__(self, server: Server, status: int, body: object) -> None:
        """Take the message of Kubernetes' Status object, and nothing else of the body."""
        answer = _json(body)
        text = str(answer.get("message") or "") or "no explanation"
        super().__init__(f"{server.url} answered {status}: {text}")
        self.status = status
        self.reason = str(answer.get("reason") or "")


class Connection:
    """One API server, as the administrator. Calls are those of ``CoreV1Api``, by name."""

    def __init__(self, server: Server, credential: Credential | None = None, client: ApiClient | None = None) -> None:
        """Keep the arguments; the first call connects. Give a credential, or a client that has one."""
        from kubernetes.client import CertificatesV1Api, CoreV1Api, VersionApi

        self.server = server
        self._client = client or _client(server, credential)
        self._core = CoreV1Api(self._client)
        self._certificates = CertificatesV1Api(self._client)
        self._version = VersionApi(self._client)

    def call(self, method: str, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Return the JSON that a method of ``CoreV1Api`` gets.

        Raises:
            SilentError: no answer.
            RefusedError: an answer other than 2xx.
        """
        return self._call(getattr(self._core, method), *arguments, **options)

    def items(self, method: str, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
        """Return the items of a list; otherwise like ``call``."""
        return list(self.call(method, *arguments, **options).get("items") or ())

    def signing_requests(self) -> list[dict[str, Any]]:
        """Return the CertificateSigningRequests; otherwise like ``call``."""
        return list(self._call(self._certificates.list_certificate_signing_request).get("items") or ())

    def version(self) -> str:
        """Return the API server's version, ``v1.37.2``; otherwise like ``call``."""
        return str(self._call(self._version.get_code).get("gitVersion", ""))

    def _call(self, method: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        import urllib3
        from kubernetes.client.exceptions import ApiException

        patience = (CONNECT_SECONDS, READ_SECONDS)
        try:
            answer = method(*arguments, **options, _preload_content=False, _request_timeout=patience)
        except ApiException as error:
            if not error.status:  # the client's own word for a TLS error
                raise SilentError(silence(self.server, error, CONNECT_SECONDS)) from None
            raise RefusedError(self.server, error.status, error.body) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise SilentError(silence(self.server, error, CONNECT_SECONDS)) from None
        return _json(answer.data)


def _client(server: Server, credential: Credential | None) -> ApiClient:
    import urllib3
    from kubernetes import client

    configuration = client.Configuration(host=server.url)
    configuration.retries = urllib3.Retry(total=0)  # who waits does so on purpose, in one place
    configuration.tls_server_name = server.name or None
    made = client.ApiClient(configuration)
    if credential is not None:
        # The client takes keys from files only; a ready context keeps them off the disk, and HTTPS_PROXY still counts.
        made.rest_client.pool_manager.connection_pool_kw["ssl_context"] = credential.context()
    return made


def from_kubeconfig(path: Path | None, context: str) -> Connection:
    """Return a connection as a kubeconfig describes it: the given one, else that of ``KUBECONFIG`` or the usual one.

    ``context`` empty: the current one.

    Raises:
        InputError: the kubeconfig cannot be used.
    """
    import urllib3
    from kubernetes import config
    from kubernetes.client import Configuration

    try:
        configuration = Configuration()
        configuration.retries = urllib3.Retry(total=0)
        client = config.new_client_from_config(  # type: ignore[no-untyped-call]
            str(path) if path else None, context or None, client_configuration=configuration
        )
    except (config.ConfigException, OSError, ValueError) as error:
        hint = "give one with --kubeconfig, such as a copy of /etc/kubernetes/admin.conf"
        raise InputError(f"no kubeconfig can be used: {error}", hint) from None
    return Connection(Server(client.configuration.host), client=client)


def _json(body: object) -> dict[str, Any]:
    try:
        found = json.loads(body) if isinstance(body, (str, bytes)) else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of trying every candidate: the first that answered, if any, and why those before it did not."""

    connection: Connection | None
    silences: tuple[Silence, ...]

    @property
    def reasons(self) -> str:
        """Return one phrase for all that gave no answer."""
        return "; ".join(f"{silence.server.url}: {silence.reason}" for silence in self.silences)


def attempt(servers: Sequence[Server], credential: Credential) -> Attempt:
    """Ask every server at once; the first of the list that answers counts, as long as it is one of this cluster.

    Raises:
        InputError: the first of the list is another cluster's. (A master's address may be another machine's where
            we are; the endpoint may not.)
    """
    connections = [Connection(server, credential) for server in servers]
    with ThreadPoolExecutor(len(connections)) as pool:
        found = list(pool.map(_try, connections))
    first = found[0]
    if first is not None and first.kind == "authority":
        raise another_cluster(first)
    chosen = next((number for number, silent in enumerate(found) if silent is None), None)
    silences = tuple(silent for silent in found[:chosen] if silent is not None)
    return Attempt(None if chosen is None else connections[chosen], silences)


def _try(connection: Connection) -> Silence | None:
    """Return why the server does not answer; None when it does, be it with an error."""
    try:
        connection.version()
    except SilentError as error:
        return error.silence
    except RefusedError:
        return None
    return None


def another_cluster(silence: Silence) -> InputError:
    """Return the error for an endpoint that is not this cluster's."""
    hint = "check DNS, the bundle, and any load balancer in between: it must pass TLS through"
    host = silence.server.address[0]
    if proxy := getproxies().get("https"):
        hint = f"HTTPS_PROXY is {_without_password(proxy)}: if it intercepts TLS, add {host} to NO_PROXY; else {hint}"
    return InputError(
        f"{silence.server.url} belongs to another cluster: {silence.reason} than the one in the secrets bundle", hint
    )


def _without_password(proxy: str) -> str:
    return proxy.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection, and why servers before it were not used; empty when the first one answered."""

    connection: Connection
    obstacle: str


def connect(servers: Sequence[Server], credential: Credential) -> Connected:
    """Return a connection to the first server of the list that answers.

    Raises:
        InputError: as ``attempt``.
        KgenError: nothing answers.
    """
    found = attempt(servers, credential)
    if found.connection is None:
        raise KgenError(f"the cluster cannot be reached: {found.reasons}", "--server HOST:PORT names another way to it")
    return Connected(found.connection, found.reasons)
