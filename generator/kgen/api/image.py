"""The image of the machines: its recipe, the check of an image against it, its container images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kgen import __version__
from kgen.bake import needs, tree
from kgen.bake.recipe import Recipe
from kgen.bake.recipe import recipe as recipe_of
from kgen.bake.verify import Difference, differences
from kgen.config.load import load
from kgen.errors import DEFAULT_OUTPUT as DEFAULT_OUTPUT
from kgen.errors import InputError, Problem
from kgen.model import Cluster
from kgen.output.swap import Change
from kgen.output.writer import Output

SECTION = "bake"


@dataclass(frozen=True, slots=True)
class BakeResult:
    """The result of a bake; with ``check``, what it would have written. ``root`` is the cluster's output directory."""

    root: Path
    recipe: Recipe
    warnings: tuple[Problem, ...]
    changes: tuple[Change, ...]


def bake(cluster_file: Path, output: Path = DEFAULT_OUTPUT, *, check: bool = False) -> BakeResult:
    """Write the recipe of the image for the machines of ``cluster_file`` to ``output/<cluster>/bake``.

    No secret is read or written. With ``check`` it only compares.

    Raises:
        ProblemsError, InputError: the cluster file is wrong.
        KgenError: the disk refuses, or another kgen is at work.
    """
    loaded = load(cluster_file)
    made = _recipe(loaded.cluster)
    root = output / loaded.cluster.name
    with Output(root, SECTION, check=check) as target:
        for artifact in tree.artifacts(made):
            target.stage(artifact)
        target.prepare({"kgen": __version__, **needs.facts(made)})
        return BakeResult(root, made, loaded.warnings, target.commit())


def _recipe(cluster: Cluster) -> Recipe:
    """Return the recipe; refuse machines with a runtime that it does not install."""
    for machine in cluster.documents:
        socket = machine.registration.cri_socket
        if "containerd" not in socket:
            raise InputError(
                f"{machine.name} uses the runtime at {socket}: kgen bake makes images with containerd only",
                "make an image with that runtime yourself; documents bring the first-boot program",
            )
    return recipe_of(cluster)


def verify_image(cluster_file: Path, root: Path) -> tuple[Difference, ...]:
    """Return the differences between ``root``, an image's tree or ``/``, and the recipe of ``cluster_file``.

    Raises:
        ProblemsError, InputError: the cluster file is wrong, or ``root`` holds no operating system.
        KgenError: the disk refuses.
    """
    return tuple(differences(root, _recipe(load(cluster_file).cluster)))


def container_images(cluster_file: Path) -> tuple[str, ...]:
    """Return the references of all container images of the cluster's machines.

    Raises:
        ProblemsError, InputError: the cluster file is wrong.
    """
    return recipe_of(load(cluster_file).cluster).container_images


def save_container_images(
    cluster_file: Path,
    directory: Path,
    sources: Sequence[Path] = (),
    *,
    on_progress: Callable[[str, str], None] = lambda image, what: None,
) -> tuple[str, ...]:
    """Put an archive of each of the cluster's container images into ``directory``, with a manifest of checksums.

    Raises:
        ProblemsError, InputError: the cluster file is wrong, or no installed program can save an image.
        KgenError: a registry or the disk refuses.
    """
    from kgen.bake import archives  # runs programs and reads tar files: slow to import, and renders do not need it

    images = container_images(cluster_file)
    archives.save(images, directory, sources, on_progress)
    return images


def pull_container_images(
    cluster_file: Path, *, on_progress: Callable[[str, str], None] = lambda image, what: None
) -> tuple[str, ...]:
    """Pull the cluster's container images into this machine's runtime.

    Raises:
        ProblemsError, InputError: the cluster file is wrong, or there is no container runtime.
        KgenError: a registry refuses.
    """
    from kgen.bake import archives  # runs programs and reads tar files: slow to import, and renders do not need it

    images = container_images(cluster_file)
    archives.pull(images, on_progress)
    return images
