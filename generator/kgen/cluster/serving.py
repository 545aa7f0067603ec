"""The certificate that each master's API server shows, seen by TLS alone."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kgen.cluster.servers import Server, silence
from kgen.config.model import Cluster, Machine
from kgen.secrets_bundle.model import Bundle

PATIENCE_SECONDS = 4.0

State = Literal["as issued", "another", "refused", "not seen"]


@dataclass(frozen=True, slots=True)
class Serving:
    """What a master's API server shows at its own address.

    ``state``: the bundle's certificate; another one of this cluster's CA; one that no client accepts (``reason``); or
    nothing could be seen (``reason``). ``issued_until`` is when the bundle's ends, ``shown_until`` what was seen.
    """

    master: str
    url: str
    state: State
    reason: str
    issued_until: datetime
    shown_until: datetime | None


def look(cluster: Cluster, bundle: Bundle) -> tuple[Serving, ...]:
    """Return what every master shows, in file order; all are asked at once."""
    masters: Sequence[Machine] = cluster.masters
    with ThreadPoolExecutor(len(masters)) as pool:
        return tuple(pool.map(lambda master: _look(master, bundle), masters))


def _look(master: Machine, bundle: Bundle) -> Serving:
    server = Server(master.local_api_endpoint)
    issued = bundle.entries[f"{master.name}/apiserver"]
    trusting = ssl.create_default_context(cadata=bundle.authorities["ca"].certificate)
    try:
        shown = _shown(server, trusting)
    except OSError as error:  # ssl.SSLError is one
        found = silence(server, error, PATIENCE_SECONDS)
        state: State = "not seen" if found.kind == "network" else "refused"
        return Serving(master.name, server.url, state, found.reason, issued.not_after, None)
    same = (
        hashlib.sha256(shown).digest() == hashlib.sha256(ssl.PEM_cert_to_DER_cert(_first(issued.certificate))).digest()
    )
    return Serving(master.name, server.url, "as issued" if same else "another", "", issued.not_after, _end(shown))


def _shown(server: Server, context: ssl.SSLContext) -> bytes:
    """Return the DER of the certificate, which ``context`` has verified."""
    with (
        socket.create_connection(server.address, PATIENCE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=server.tls_name) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def _first(pem: str) -> str:
    end = "-----END CERTIFICATE-----"
    return pem.partition(end)[0] + end


def _end(der: bytes) -> datetime:
    from kgen.pki.inspect import decode

    return decode(ssl.DER_cert_to_PEM_cert(der)).not_after
