"""Load, render, write: what ``kgen`` does, for Python programs. Prints nothing.

>>> from pathlib import Path
>>> from kgen import api
>>> result = api.render(Path("cluster.yaml"))          # doctest: +SKIP
>>> [document.path for document in result.documents]   # doctest: +SKIP
"""

from kgen.api.bundle import MachineRoutes, certificates, join_command, renew, routes
from kgen.api.image import (
    BakeResult,
    bake,
    container_images,
    pull_container_images,
    save_container_images,
    verify_image,
)
from kgen.api.rendering import RenderResult, describe, render
from kgen.api.running import renew_token, status, wait

__all__ = [
    "BakeResult",
    "MachineRoutes",
    "RenderResult",
    "bake",
    "certificates",
    "container_images",
    "describe",
    "join_command",
    "pull_container_images",
    "render",
    "renew",
    "renew_token",
    "routes",
    "save_container_images",
    "status",
    "verify_image",
    "wait",
]
