"""The published road: a stub as user-data, and the object that it fetches, in S3 or Secrets Manager.

A stub is a ``#cloud-config`` like a whole document, with what cloud-init itself must know: hostname, users, the user's
own keys. In place of payload and first-boot program it has the program ``fetch`` and the URL of the object, which ends
in the object's sha256. The object is a program, too: it writes the files that a whole document would write, and starts
what that would start.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kgen import __version__, engine, resources
from kgen.facts import names
from kgen.firstboot import parameters, program
from kgen.model import Cluster
from kgen.payload import Payload
from kgen.secrets_bundle.model import SealKey
from kgen.user_data import document, sealing

FETCH_PATH = names.RUNNER_PATH.with_name("fetch.py")


@dataclass(frozen=True, slots=True)
class Store:
    """Where a stub fetches from: a URL without a slash at its end, the region, and AWS's name of the service.

    In S3 the URL is that of the bucket, and an object's key is below it.
    """

    url: str
    region: str
    service: Literal["s3", "secretsmanager"] = "s3"


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


def stub_text(cluster: Cluster, payload: Payload, store: Store, name: str, users: Sequence[Mapping[str, Any]]) -> str:
    """Return the user-data of a machine whose object is ``name`` in ``store``."""
    modules = {"s3": ("aws", "fetch"), "secretsmanager": ("aws", "fetch_secret")}[store.service]
    fetch = program.joined(modules, with_comments=False).strip("\n")
    what = [f"{store.url}/{name}"] if store.service == "s3" else [f"{store.url}/", name]
    call = f"exec(fetch{(parameters.imds(cluster), store.region, *what)!r})\n"
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
