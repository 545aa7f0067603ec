"""The needs of the machines that the last bake does not meet, as the lock file's section of ``kgen bake`` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kgen.bake.recipe import PAYLOAD_FORMATS, Recipe, container_images
from kgen.config import own_values
from kgen.content import metadata_fence
from kgen.model import Cluster
from kgen.payload import FORMAT, FORMAT_SEALED, FORMAT_WITH_OWN_VALUES, FORMAT_WITH_STORED_TOKEN


def facts(recipe: Recipe) -> dict[str, Any]:
    """Return what the lock file says about a bake (docs/reference/outputs.md)."""
    return {
        "kubernetesVersion": recipe.kubernetes_version,
        "recipe": recipe.sha256,
        "containerImages": list(recipe.container_images),
        "payloadFormats": list(PAYLOAD_FORMATS),
        "extraPackages": list(recipe.extra_packages),
    }


def missing(baked: Mapping[str, Any], cluster: Cluster) -> Iterator[str]:
    """Yield what the machines of ``cluster`` need and an image with these facts does not have."""
    is_baked = cluster.runner == "baked"
    if not baked:
        if is_baked:
            yield "the machines need an image with the first-boot program, and none was baked into this output"
        return
    version = str(cluster.kubernetes_version)
    if baked.get("kubernetesVersion") != version:
        yield f"the image that was baked last is for {baked.get('kubernetesVersion')}, the machines need {version}"
    formats = baked.get("payloadFormats", [])
    needed = FORMAT_SEALED if cluster.seals else FORMAT_WITH_OWN_VALUES if _has_own_values(cluster) else FORMAT
    if any(pool.join_from == "ssm" for pool in cluster.pools):
        needed = FORMAT_WITH_STORED_TOKEN
    if is_baked and needed not in formats:
        taken = ", ".join(map(str, formats)) or "an older one"
        yield f"the image that was baked last takes payloads of format {taken}, the machines need format {needed}"
    lacking = [image for image in container_images(cluster) if image not in baked.get("containerImages", [])]
    if lacking:
        yield f"the image that was baked last does not hold {', '.join(lacking)}"
    if cluster.metadata_fence and metadata_fence.PACKAGE not in baked.get("extraPackages", []):
        yield f"the image that was baked last lacks the package {metadata_fence.PACKAGE}, which metadataFence needs"


def _has_own_values(cluster: Cluster) -> bool:
    """Return whether a machine must fill in values that only it knows."""
    arguments = (argument for machine in cluster.documents for argument in machine.registration.kubelet_extra_args)
    labels = (value for machine in cluster.documents for value in machine.labels.values())
    return any(own_values.are_there(text) for text in (*(argument.value for argument in arguments), *labels))
