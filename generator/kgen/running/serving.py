"""The certificates that the masters' API servers show in a TLS handshake."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kgen.model import Cluster, Machine
from kgen.running.credential import trusting
from kgen.running.servers import Server, silence
from kgen.secrets_bundle.model import Bundle

PATIENCE_SECONDS = 4.0

State = Literal["as issued", "newer", "older", "refused", "not seen"]


@dataclass(frozen=True, slots=True)
class Serving:
    """The certificate that a master's API server shows at its own address.

    ``state`` compares it with the bundle's. ``newer``: the cluster's CA signed it later, as `kubeadm certs renew`
    does. ``older``: the bundle's was renewed since. ``refused``: no client accepts it. ``not seen``: the server did not
    answer. ``reason`` explains the last two. ``issued_until`` is the expiry of the bundle's certificate,
    ``shown_until`` that of the one that was seen.
    """

    master: str
    url: str
    state: State
    reason: str
    issued_until: datetime
    shown_until: datetime | None


def look(cluster: Cluster, bundle: Bundle) -> tuple[Serving, ...]:
    """Return what every master's API server shows, in file order; all are asked at the same time."""
    masters: Sequence[Machine] = cluster.masters
    with ThreadPoolExecutor(len(masters)) as pool:
        return tuple(pool.map(lambda master: _look(master, bundle), masters))


def _look(master: Machine, bundle: Bundle) -> Serving:
    server = Server(master.local_api_endpoint)
    issued = bundle.entries[f"{master.name}/apiserver"]
    context = trusting(bundle.authorities["ca"].alone)
    state: State
    try:
        shown = _shown(server, context)
    except OSError as error:  # ssl.SSLError is one
        found = silence(server, error, PATIENCE_SECONDS)
        state = "not seen" if found.kind == "network" else "refused"
        return Serving(master.name, server.url, state, found.reason, issued.not_after, None)
    not_before, not_after = _dates(shown)
    if shown == ssl.PEM_cert_to_DER_cert(issued.alone):
        state = "as issued"
    else:  # by expiry first: kubeadm may date NotBefore back to its CA's
        is_newer = (not_after, not_before) > (issued.not_after, issued.not_before)
        state = "newer" if is_newer else "older"
    return Serving(master.name, server.url, state, "", issued.not_after, not_after)


def _shown(server: Server, context: ssl.SSLContext) -> bytes:
    """Return the DER of the certificate, which ``context`` has verified."""
    with (
        socket.create_connection(server.address, PATIENCE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=server.tls_name) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def _dates(der: bytes) -> tuple[datetime, datetime]:
    """Return NotBefore and NotAfter."""
    from kgen.pki.inspect import decode

    decoded = decode(ssl.DER_cert_to_PEM_cert(der))
    return decoded.not_before, decoded.not_after
