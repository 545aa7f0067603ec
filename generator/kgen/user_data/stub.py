"""The published road: a stub as user-data, and the object that it fetches: from S3, Secrets Manager or ``kgen serve``.

A stub is a ``#cloud-config`` like a whole document, with what cloud-init itself must know: hostname, users, the user's
own keys. In place of payload and first-boot program it has the program ``fetch`` and the URL of the object, which ends
in the object's sha256. The object is a program, too: it writes the files that a whole document would write, and starts
what that would start.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kgen import __version__, engine, resources
from kgen.facts import names
from kgen.firstboot import parameters, program
from kgen.model import Cluster
from kgen.payload import Payload
from kgen.secrets_bundle.model import SealKey
from kgen.user_data import document, sealing

FETCH_PATH = names.RUNNER_PATH.with_name("fetch.py")
OBJECT = "object"
"""The last part of an object's URL at ``kgen serve``."""
_MODULES = {"s3": ("aws", "fetch"), "secretsmanager": ("aws", "fetch_secret"), "serve": ("fetch_served",)}
_TOKEN_DIGITS = 48  # 192 bits: nobody guesses them over a network


@dataclass(frozen=True, slots=True)
class Store:
    """Where a stub fetches from: a URL without a slash at its end, the region, and AWS's name of the service.

    In S3 the URL is that of the bucket, and an object's key is below it. For ``kgen serve``, ``pin`` is the sha256 of
    its certificate, and tokens are made of ``secret``.
    """

    url: str
    region: str = ""
    service: Literal["s3", "secretsmanager", "serve"] = "s3"
    pin: str = ""
    secret: str = field(default="", repr=False)


def object_text(cluster: Cluster, payload: Payload, seal_keys: Mapping[str, SealKey]) -> str:
    """Return the object of a machine, a program with its payload inside. It holds secrets, unless the cluster seals.

    Raises:
        InputError: the machine's key of ``seal_keys`` is damaged.
    """
    files = [[str(names.PAYLOAD_PATH), "0600", sealing.payload_text(cluster, payload, seal_keys)]]
    start = document.stub_start(cluster)
    if cluster.runner == "embedded":
        extras = program.extras(cluster, payload)
        runner = program.program(payload.role, with_comments=False, extras=extras)
        units = [[str(path), "0644", text] for path, text in document.units()]
        files = [*units, [str(names.RUNNER_PATH), "0755", runner], *files]
    code = program.without_comments(resources.runner_source("unpack"))
    # A JSON text of strings and lists, with characters as they are, is Python, too.
    told = json.dumps([files, start], indent=0, ensure_ascii=False)
    what = f"{payload.role} {payload.name} of the Kubernetes cluster {cluster.name}, by kgen {__version__}"
    note = f"only {sealing.key_file(payload.name)} opens its payload" if cluster.seals else "keep it secret"
    return f"#!/usr/bin/env python3\n# {what}: {note}.\n{code}\n\nunpack(*{told})\n"


def key(cluster: Cluster, payload: Payload, text: str) -> str:
    """Return the key of the object in its bucket. Masters and nodes have prefixes of their own, for their roles."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{prefix(cluster)}{payload.role}/{payload.name}/{digest}"


def prefix(cluster: Cluster) -> str:
    """Return how the keys of all objects of the cluster begin."""
    return f"kgen/{cluster.name}/"


def token(secret: str, key: str) -> str:
    """Return the token with which a machine fetches the object ``key`` from ``kgen serve``.

    Only who has the ``secret`` of the bundle knows it before the machine uses it. Another content has another token.
    """
    return hmac.digest(secret.encode(), f"kgen serve {key}".encode(), "sha256").hex()[:_TOKEN_DIGITS]


def stub_text(cluster: Cluster, payload: Payload, store: Store, name: str, users: Sequence[Mapping[str, Any]]) -> str:
    """Return the user-data of a machine whose object is ``name`` in ``store``."""
    fetch = program.joined(_MODULES[store.service], with_comments=False).strip("\n")
    call = f"exec(fetch{_what(cluster, payload, store, name)!r})\n"
    keys = document.user_keys(payload.cloud_init)
    return engine.render(
        "cloud-init/stub.yaml.j2",
        name=payload.name,
        cluster=cluster.name,
        hostname=payload.name if cluster.set_hostname and not payload.is_pool else "",
        bootcmd=engine.Block(document.stub_bootcmd(cluster, payload.role), 2),
        fetch=["python3", "-Iu", str(FETCH_PATH)],
        path=str(FETCH_PATH),
        program=engine.Block(f"{fetch}\n\n{call}", 4),
        ntp=cluster.ntp,
        users=list(users),
        **keys,
    )


def _what(cluster: Cluster, payload: Payload, store: Store, name: str) -> tuple[str, ...]:
    """Return what the function ``fetch`` of the store's module is called with."""
    if store.service == "serve":
        url = f"{store.url}/{token(store.secret, name)}/{payload.name}/{OBJECT}"
        return url, store.pin, name.rpartition("/")[2], document.stub_start(cluster)
    at = (parameters.imds(cluster), store.region)
    return (*at, f"{store.url}/{name}") if store.service == "s3" else (*at, f"{store.url}/", name)
