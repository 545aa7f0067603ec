"""``seed/<machine>/`` and ``seed/<machine>.iso``: NoCloud seeds, as directories and as disks.

Format: https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html. A seed has no limit of size, so the
document in it is plain text and its bytes do not depend on a build of zlib.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from kgen import engine
from kgen.emitters.contract import Emit, Setting
from kgen.emitters.iso import iso
from kgen.emitters.user_data import Texts
from kgen.output.artifacts import Artifact
from kgen.payload import Payload

DIRECTORY = PurePosixPath("seed")


def emitter(setting: Setting) -> Emit:
    """Return the function that makes the seed of a machine; of a pool also those of its named machines."""
    cluster = setting.cluster
    texts = Texts(setting, is_text=False)

    def emit(payload: Payload) -> Iterator[Artifact]:
        first, shared, last = texts.of(payload)
        user_data = shared.text(first, last)
        hostname = payload.name if cluster.set_hostname and not payload.is_pool else ""
        yield from _seed(payload.name, hostname, payload, user_data)
        for name in setting.members.get(payload.name, ()):
            yield from _seed(name, name, payload, user_data)

    def _seed(name: str, hostname: str, payload: Payload, user_data: bytes) -> Iterator[Artifact]:
        files = {
            "meta-data": _meta_data(f"{cluster.name}-{name}", hostname),
            "user-data": user_data,
            "vendor-data": b"",
        }
        if payload.network:
            files["network-config"] = engine.to_yaml(payload.network).encode()
        for file, content in files.items():
            yield Artifact(DIRECTORY / name / file, content)
        yield Artifact(DIRECTORY / f"{name}.iso", iso(files))

    return emit


def _meta_data(instance_id: str, hostname: str) -> bytes:
    """Return the meta-data. The instance-id never changes, so that a new seed does not make a machine a new one."""
    named = {"local-hostname": hostname} if hostname else {}
    return engine.to_yaml({"instance-id": instance_id, **named}).encode()
