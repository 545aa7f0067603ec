"""``sealed/<machine>.key``: the key that opens a machine's sealed payload, which gets to the machine by another way."""

from __future__ import annotations

from collections.abc import Iterator

from kgen.emitters.contract import Emit, Setting
from kgen.output.artifacts import Artifact
from kgen.payload import Payload
from kgen.user_data.sealing import key_file


def emitter(setting: Setting) -> Emit:
    """Return the function that gives out a machine's key, if the cluster seals."""

    def emit(payload: Payload) -> Iterator[Artifact]:
        if setting.cluster.seals:
            yield Artifact(key_file(payload.name), setting.seal_keys[payload.name].key.encode())

    return emit
