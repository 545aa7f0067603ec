"""Requests for certificates that a CA outside signs. Imports cryptography: import this module late."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from kgen.errors import InputError
from kgen.model import Cluster
from kgen.pki import keys
from kgen.pki.plan import Request, plan
from kgen.pki.signing_request import signing_request
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.source import Source


@dataclass(frozen=True, slots=True)
class Requested:
    """A bundle with the private keys of the requests, and each request with its PEM text."""

    bundle: Bundle
    texts: tuple[tuple[Request, str], ...]


def requests(bundle: Bundle, cluster: Cluster, names: Collection[str], source: Source | None = None) -> Requested:
    """Return the requests for the leaves ``names``. A key that was made for an earlier request is used again.

    Raises:
        InputError: the bundle has the key of a leaf's CA, so kgen issues that leaf itself.
    """
    source = source or Source()
    private = dict(bundle.requests)
    texts = []
    for request in plan(cluster):
        if request.name not in names:
            continue
        if request.ca not in bundle.external_authorities or request.is_brought:
            hint = f"`kgen certs renew CLUSTER_FILE {request.name}` issues it again"
            raise InputError(f"{request.name} needs no request: the bundle has the key of its CA {request.ca!r}", hint)
        if request.name not in private:
            private[request.name] = keys.private_pem(source.key(cluster.encryption_algorithm))
        texts.append((request, signing_request(request, keys.load_private(private[request.name]))))
    return Requested(replace(bundle, requests=private), tuple(texts))
