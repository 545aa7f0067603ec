"""``nodes/<machine>/``: every file that the first-boot program writes, as it will be on the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from kgen.emitters.contract import Emit, Setting
from kgen.model import Cluster
from kgen.output.artifacts import Artifact
from kgen.payload import Payload, expand

REVIEW_ALL_UP_TO = 100
"""Above this many listed nodes, only the first of each group gets files to read, unless the user asks for more."""


def emitter(setting: Setting) -> Emit:
    """Return what makes the review tree of a machine, if the machine is reviewed."""

    def emit(payload: Payload) -> Iterator[Artifact]:
        if payload.name not in setting.reviewed:
            return
        root = PurePosixPath("nodes", payload.name)
        for file in payload.files:
            content = expand(file.content, payload.blobs).encode()
            yield Artifact(root / file.path.relative_to("/"), content, mode=file.mode)

    return emit


def reviewed(cluster: Cluster, *, review_all: bool) -> frozenset[str]:
    """Return the names of the machines and pools that get files to read.

    Nodes with the same labels, taints and settings are a group: their files differ in names and addresses only.
    """
    nodes = [machine for machine in cluster.machines if machine.role == "node"]
    if review_all or len(nodes) <= REVIEW_ALL_UP_TO:
        return frozenset(machine.name for machine in cluster.documents)
    first_of_group: dict[Any, str] = {}
    for node in nodes:
        group = (tuple(sorted(node.labels)), node.taints, node.registration, node.own_settings)
        first_of_group.setdefault(group, node.name)
    others = (machine.name for machine in cluster.documents if machine.is_pool or machine.role == "master")
    return frozenset([*first_of_group.values(), *others])
