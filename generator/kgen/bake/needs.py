"""What machines need of their image, and whether the last bake has it: the lock file's section of ``kgen bake``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from kgen.bake.recipe import Recipe, container_images
from kgen.config.model import Cluster, Role
from kgen.render.image_texts import image_texts
from kgen.versions import Version


def facts(recipe: Recipe, version: Version) -> dict[str, Any]:
    """Return what the lock file says about a bake (docs/reference/outputs.md)."""
    return {
        "kubernetesVersion": recipe.kubernetes_version,
        "recipe": recipe.sha256,
        "containerImages": list(recipe.container_images),
        "texts": {role: image_texts(version, role).sha256 for role in get_args(Role)},
    }


def missing(baked: Mapping[str, Any], cluster: Cluster) -> Iterator[str]:
    """Yield what the machines of ``cluster`` need and an image with these facts does not have."""
    if not baked:
        return
    version = str(cluster.kubernetes_version)
    if baked.get("kubernetesVersion") != version:
        yield f"the image that was baked last is for {baked.get('kubernetesVersion')}, the machines need {version}"
    elif cluster.runner == "baked":
        held = baked.get("texts", {})
        roles = sorted({machine.role for machine in cluster.documents})
        if any(held.get(role) != image_texts(cluster.kubernetes_version, role).sha256 for role in roles):
            yield "the image that was baked last has another first-boot program than this kgen"
    lacking = [image for image in container_images(cluster) if image not in baked.get("containerImages", [])]
    if lacking:
        yield f"the image that was baked last does not hold {', '.join(lacking)}"
