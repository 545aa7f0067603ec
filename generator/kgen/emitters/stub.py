"""``publish/``: the object of each machine as it is in the bucket, and the stub that fetches it, as user-data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from kgen import engine
from kgen.emitters.contract import DocumentInfo, Emit, Setting
from kgen.facts.providers import PROVIDERS
from kgen.output.artifacts import Artifact
from kgen.payload import Payload
from kgen.user_data import document, stub

DIRECTORY = PurePosixPath("publish")
OBJECTS = DIRECTORY / "objects"
STUBS = DIRECTORY / "user-data"
_AWS = "ec2"  # what is at AWS is fetched with the role of an instance


def emitter(setting: Setting) -> Emit:
    """Return the function that makes object and stub of a machine."""
    cluster, store = setting.cluster, setting.store
    if store is None:
        raise ValueError("stubs need a store")
    provider = PROVIDERS.get(cluster.provider if store.service == "serve" else _AWS)

    def emit(payload: Payload) -> Iterator[Artifact | DocumentInfo]:
        content = stub.object_text(cluster, payload, setting.seal_keys)
        name = stub.key(cluster, payload, content)
        text = stub.stub_text(cluster, payload, store, name, setting.users).encode()
        engine.check_yaml(text)
        path = STUBS / f"{payload.name}.yaml.gz"
        compressed = setting.kept(path, text) or document.compressed(text)
        yield Artifact(OBJECTS / PurePosixPath(name), content.encode())
        yield Artifact(path, compressed, digest_of=text)
        yield Artifact(path.with_suffix(""), text)
        yield DocumentInfo(
            machine=payload.name,
            role=payload.role,
            is_pool=payload.is_pool,
            path=path,
            provider=provider.name if provider else "",
            counted_bytes=provider.count(len(compressed)) if provider else len(compressed),
            limit_bytes=provider.limit_bytes if provider else None,
            encoding="gzip",
            sha256=hashlib.sha256(text).hexdigest(),
            expiry=payload.expiry,
        )

    return emit


def object_key(path: PurePosixPath) -> str:
    """Return the key in the bucket of an artifact below ``OBJECTS``; empty for another one."""
    return str(path.relative_to(OBJECTS)) if path.is_relative_to(OBJECTS) else ""
