"""What a baked image holds of its machines' payloads, so that a document only says what is different (ADR 7).

The texts are those of a model cluster of the same Kubernetes release: they hold nothing of any real one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

from kgen import names
from kgen.config.model import Cluster, Endpoint, Machine, Networking, Role, Taint
from kgen.payload import Payload
from kgen.render import files, objects, parameters, payload_json, runner_source
from kgen.render.edits import edits
from kgen.versions import Version

_NO_TOKEN = "000000.0000000000000000"  # noqa: S105 opens nothing: where a cluster's own token comes to stand
_OWN = frozenset({"addresses", "blobs", "curve", "kubernetesVersion", "name", "role", "validity"})
"""What every payload has of its own: it always travels whole."""


@dataclass(frozen=True, slots=True)
class ImageTexts:
    """The program of one role as an image has it, and its texts.

    ``body`` is what the model's payload has of them, ``text`` the content of the file of texts. Checksums are SHA-256
    in hexadecimal: ``runner_sha256`` stands in the text and binds the two, ``sha256`` is that of the text.
    """

    runner: str = field(repr=False)
    runner_sha256: str
    body: Mapping[str, Any] = field(repr=False)
    text: str = field(repr=False)
    sha256: str

    def seal(self, whole: Mapping[str, Any]) -> str:
        """Return the text of payload.json around a body whose texts the image holds."""
        rest = {key: value for key, value in whole.items() if key not in _OWN}
        own = {key: value for key, value in whole.items() if key in _OWN}
        sent = {**own, "edits": edits(self.body, rest), "texts": self.sha256}
        return payload_json.seal(whole, self.runner_sha256, sent)


@cache
def image_texts(version: Version, role: Role) -> ImageTexts:
    """Return what an image for ``version`` holds for machines of ``role``."""
    cluster = _model(version)
    machine = cluster.masters[0] if role == "master" else cluster.pools[0]
    worker_files = files.WorkerFiles(cluster, _NO_TOKEN)
    payload = Payload(
        name=machine.name,
        role=role,
        is_pool=machine.is_pool,
        files=files.master_files(cluster, machine) if role == "master" else worker_files.of(machine),
        directories=files.directories(cluster, machine),
        blobs={},
        objects=objects.api_objects(cluster, (_NO_TOKEN,)) if role == "master" else (),
        parameters=parameters.parameters(cluster, machine, {}),
    )
    body = {key: value for key, value in payload_json.body(payload).items() if key not in _OWN}
    runner = runner_source.assemble(role, runner_source.BAKED_MODULES[role])
    runner_sha256 = hashlib.sha256(runner.encode()).hexdigest()
    text = payload_json.canonical({"body": body, "runner": runner_sha256})
    return ImageTexts(runner, runner_sha256, body, text, hashlib.sha256(text.encode("ascii")).hexdigest())


def _model(version: Version) -> Cluster:
    """Return three masters behind an endpoint and a pool, all of it default."""
    taints = (Taint(names.LABEL_CONTROL_PLANE, "NoSchedule"),)
    masters = (Machine(f"m{last}", "master", (ip_address(f"10.0.0.{last}"),), taints=taints) for last in (1, 2, 3))
    return Cluster(
        name="kubernetes",
        cluster_name="kubernetes",
        kubernetes_version=version,
        machines=tuple(masters),
        pools=(Machine("workers", "node", is_pool=True),),
        networking=Networking((ip_network(names.DEFAULT_SERVICE_SUBNET),), (ip_network("10.244.0.0/16"),)),
        control_plane_endpoint=Endpoint("10.0.0.1", names.API_SERVER_PORT),
        runner="baked",
    )
