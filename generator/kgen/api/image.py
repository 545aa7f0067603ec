"""The machines' image: its recipe, what is different in one, its container images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from kgen import __version__
from kgen.bake import needs, tree
from kgen.bake.recipe import Recipe
from kgen.bake.recipe import recipe as recipe_of
from kgen.bake.verify import Difference, differences
from kgen.config.load import load
from kgen.errors import Problem
from kgen.swap import Change
from kgen.writer import Comparison, Output

SECTION = "bake"
DEFAULT_OUTPUT = Path("outputs")


@dataclass(frozen=True, slots=True)
class BakeResult:
    """What a bake wrote, or with ``check`` would have written; ``root`` is the cluster's output directory."""

    root: Path
    recipe: Recipe
    warnings: tuple[Problem, ...]
    changes: tuple[Change, ...]


def bake(cluster_file: Path, output: Path = DEFAULT_OUTPUT, *, check: bool = False) -> BakeResult:
    """Write the recipe of the image for the machines of ``cluster_file`` to ``output/<cluster>/bake``.

    No secret is read or written. With ``check`` it only compares.

    Raises:
        ProblemsError, InputError: the cluster file is at fault.
        KgenError: the disk refuses, or another kgen is at work.
    """
    loaded = load(cluster_file)
    made = recipe_of(loaded.cluster)
    root = output / loaded.cluster.name
    with nullcontext(Comparison(root, SECTION)) if check else Output(root, SECTION) as target:
        for artifact in tree.artifacts(made):
            target.stage(artifact)
        facts = {"kgen": __version__, **needs.facts(made, loaded.cluster.kubernetes_version)}
        if isinstance(target, Output):
            target.prepare(facts)
            changes = target.commit()
        else:
            changes = target.finish(facts)
    return BakeResult(root, made, loaded.warnings, changes)


def verify_image(cluster_file: Path, root: Path) -> tuple[Difference, ...]:
    """Return what is different at ``root``, an image's tree or ``/``, from the recipe of ``cluster_file``.

    Raises:
        ProblemsError, InputError: the cluster file is at fault, or ``root`` holds no system.
        KgenError: the disk refuses.
    """
    return tuple(differences(root, recipe_of(load(cluster_file).cluster)))


def container_images(cluster_file: Path) -> tuple[str, ...]:
    """Return the references of all container images of the cluster's machines.

    Raises:
        ProblemsError, InputError: the cluster file is at fault.
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
        ProblemsError, InputError: the cluster file is at fault, or there is nothing to save an image with.
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
        ProblemsError, InputError: the cluster file is at fault, or there is no runtime.
        KgenError: a registry refuses.
    """
    from kgen.bake import archives  # runs programs and reads tar files: slow to import, and renders do not need it

    images = container_images(cluster_file)
    archives.pull(images, on_progress)
    return images
