"""A snapshot of etcd's data, taken from a running member over its client port.

etcd serves its gRPC API as JSON over HTTP too, on the same port and with the same client certificates
(https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/). ``/v3/maintenance/snapshot`` answers with one JSON object a
line, each with a base64 part of the snapshot. The last 32 bytes are the SHA-256 of everything before them.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kgen.content import flags
from kgen.errors import InputError, KgenError
from kgen.facts import names
from kgen.model import Cluster
from kgen.output.disk import disk_errors, sync_directory
from kgen.pki.table import ETCD_CA, ETCD_CLIENT
from kgen.running.credential import Credential
from kgen.running.servers import Server, server_of, silence
from kgen.secrets_bundle.model import Bundle

PATIENCE_SECONDS = 20.0
_CHECKSUM_BYTES = 32
_DATABASE_PAGE_BYTES = 4096
_CLIENT = "etcd/healthcheck-client"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that was written: where, from which member's URL, how large, and at which revision of the data."""

    path: Path
    url: str
    size_bytes: int
    revision: int


def members(cluster: Cluster, given: str = "") -> tuple[Server, ...]:
    """Return where to ask: the server that was given, or every member.

    Raises:
        InputError: ``given`` is not an address.
    """
    if given:
        return (server_of(given, names.ETCD_CLIENT_PORT, "an etcd member"),)
    if cluster.external_etcd is not None:
        return tuple(Server(url) for url in cluster.external_etcd.endpoints)
    return tuple(Server(flags.etcd_client_url(master)) for master in cluster.masters)


def take(cluster: Cluster, bundle: Bundle, servers: Sequence[Server], path: Path) -> Snapshot:
    """Take a snapshot from the first member that has a leader, check it, and write it to ``path``, mode 0600.

    Raises:
        InputError: something has this name already.
        KgenError: no member answers, one refuses, the snapshot is damaged, or the disk refuses.
    """
    if os.path.lexists(path):
        raise InputError(f"{path} exists already", "choose another name: a snapshot never replaces a file")
    context = _context(cluster, bundle)
    reasons = []
    for server in servers:
        try:
            status = _post(server, context, "/v3/maintenance/status")
            revision = int(status["header"]["revision"])
        except OSError as error:
            reasons.append(f"{server.url}: {silence(server, error, PATIENCE_SECONDS).reason}")
            continue
        except (http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            raise KgenError(f"{server.url} does not answer as etcd does: {error!r}") from error
        if not int(status.get("leader", 0)):  # its data may be older than that of the others
            reasons.append(f"{server.url}: it has no leader, as it does not reach most of the other members")
            continue
        return Snapshot(path, server.url, _write(server, context, path), revision)
    hint = "run this where a master's port 2379 can be reached, or name another way to it: --server HOST:PORT"
    raise KgenError(f"no etcd member answers: {'; '.join(reasons)}", hint)


def _context(cluster: Cluster, bundle: Bundle) -> ssl.SSLContext:
    """Return a TLS context that trusts etcd's CA and shows a client's certificate.

    That is the first master's for health checks. An external etcd gets what its API servers show, if anything.
    """
    external = cluster.external_etcd
    if external is not None and external.certificate is None:
        return ssl.create_default_context(cadata=bundle.authorities[ETCD_CA].certificate if external.ca else None)
    entry = bundle.entries[ETCD_CLIENT if external else f"{cluster.masters[0].name}/{_CLIENT}"]
    return Credential(bundle.authorities[ETCD_CA].certificate, entry.certificate, entry.key or "").context()


def _request(server: Server, context: ssl.SSLContext, path: str) -> http.client.HTTPResponse:
    """Return the answer to an empty request, its body unread."""
    host, port = server.address
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
    if server.url.startswith("https:"):
        connection = http.client.HTTPSConnection(host, port, timeout=PATIENCE_SECONDS, context=context)
    connection.request("POST", path, "{}", {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != http.HTTPStatus.OK:
        message = answer.read(400).decode(errors="replace").strip()
        raise KgenError(f"{server.url} answered HTTP {answer.status} to {path}: {message}")
    return answer


def _post(server: Server, context: ssl.SSLContext, path: str) -> Any:
    with _request(server, context, path) as answer:
        return json.loads(answer.read())


def _write(server: Server, context: ssl.SSLContext, path: Path) -> int:
    """Write the snapshot beside ``path``, check it, give it its name, and return its size in bytes."""
    temporary = path.with_name(f".{path.name}.part")
    with disk_errors(path):
        temporary.unlink(missing_ok=True)
        try:
            with open(temporary, "wb", opener=lambda name, mode: os.open(name, mode | os.O_EXCL, 0o600)) as file:
                size = _copy(server, context, file)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)  # unlike a rename, this never replaces a file
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)
    return size


def _copy(server: Server, context: ssl.SSLContext, file: BinaryIO) -> int:
    """Copy the snapshot into ``file`` and return its size.

    Raises:
        KgenError: the connection ended early, or the checksum does not match.
    """
    digest = hashlib.sha256()
    size = 0
    held = b""  # the last bytes seen so far, which may be the checksum
    try:
        for part in _parts(server, context):
            file.write(part)
            size += len(part)
            held += part
            digest.update(held[:-_CHECKSUM_BYTES])
            held = held[-_CHECKSUM_BYTES:]
    except (http.client.HTTPException, TimeoutError, ConnectionError, ValueError) as error:
        raise KgenError(f"the snapshot from {server.url} ended early: {error!r}", "run the command again") from error
    if size % _DATABASE_PAGE_BYTES != _CHECKSUM_BYTES or digest.digest() != held:
        raise KgenError(f"the snapshot from {server.url} is damaged: its checksum does not match", "run it again")
    return size


def _parts(server: Server, context: ssl.SSLContext) -> Iterator[bytes]:
    with _request(server, context, "/v3/maintenance/snapshot") as answer:
        for line in answer:
            message = json.loads(line)
            if "error" in message:
                raise KgenError(f"{server.url} refuses a snapshot: {message['error'].get('message', message['error'])}")
            yield base64.b64decode(message["result"].get("blob", ""))
