"""``seed/<machine>/`` and ``seed/<machine>.iso``: NoCloud seeds, as directories and as disks.

Format: https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html. A seed has no limit of size, so the
document in it is plain text and its bytes do not depend on a build of zlib.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from kgen import engine
from kgen.emitters.contract import Emit, Setting
from kgen.emitters.iso import iso
from kgen.emitters.user_data import Texts
from kgen.model import Cluster
from kgen.output.artifacts import Artifact
from kgen.payload import Payload

DIRECTORY = PurePosixPath("seed")


class SeedFiles:
    """The files of NoCloud seeds, by name. What seeds share is computed once."""

    def __init__(self, setting: Setting) -> None:
        """Prepare the texts."""
        self._cluster = setting.cluster
        self._stubs = setting.stubs
        self._texts = Texts(setting, is_text=False)

    def of(self, payload: Payload, member: str = "") -> dict[str, bytes]:
        """Return the files of a machine's seed; with ``member``, of the machine of this name of the payload's pool."""
        name = member or payload.name
        has_name = bool(member) or (self._cluster.set_hostname and not payload.is_pool)
        files = {
            "meta-data": _meta_data(instance_id(self._cluster, name), name if has_name else ""),
            "user-data": self._user_data(payload),
            "vendor-data": b"",
        }
        if payload.network:
            files["network-config"] = engine.to_yaml(payload.network).encode()
        return files

    def _user_data(self, payload: Payload) -> bytes:
        if self._stubs is not None:
            return self._stubs[payload.name]
        first, shared, last = self._texts.of(payload)
        return shared.text(first, last)


def emitter(setting: Setting) -> Emit:
    """Return the function that makes the seed of a machine; of a pool also those of its named machines."""
    seeds = SeedFiles(setting)

    def emit(payload: Payload) -> Iterator[Artifact]:
        yield from _seed(payload.name, seeds.of(payload))
        for name in setting.members.get(payload.name, ()):
            yield from _seed(name, seeds.of(payload, name))

    return emit


def instance_id(cluster: Cluster, name: str) -> str:
    """Return the instance-id of a machine. It never changes, so that a new seed does not make a machine a new one."""
    return f"{cluster.name}-{name}"


def _seed(name: str, files: Mapping[str, bytes]) -> Iterator[Artifact]:
    for file, content in files.items():
        yield Artifact(DIRECTORY / name / file, content)
    yield Artifact(DIRECTORY / f"{name}.iso", iso(files))


def _meta_data(identity: str, hostname: str) -> bytes:
    named = {"local-hostname": hostname} if hostname else {}
    return engine.to_yaml({"instance-id": identity, **named}).encode()
