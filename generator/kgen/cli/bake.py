"""``kgen bake``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kgen.cli import arguments, console
from kgen.errors import ExitCode

if TYPE_CHECKING:
    from kgen.api import BakeResult


@click.command(short_help="Write the recipe of the machines' image.")
@arguments.CLUSTER_FILE
@arguments.output("Write to DIR/<cluster>/bake.")
@click.option("--check", is_flag=True, help="Write nothing; exit 3 if a bake would change anything on disk.")
@click.option(
    "--verify",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="ROOT",
    help="Write nothing; compare ROOT, an image's tree or /, with the recipe; exit 3 if anything differs.",
)
@arguments.JSON
def bake(cluster_file: Path, output: Path, check: bool, verify: Path | None, as_json: bool) -> int:
    """Write a Salt tree, a Packer template and a script that make the image for the machines of CLUSTER_FILE.

    One image serves masters and nodes of every cluster with the same Kubernetes release, because it contains no
    secrets and no names. The README in the directory has the commands.
    """
    from kgen import api

    if verify is not None:
        return _verify(cluster_file, verify, as_json=as_json)
    result = api.bake(cluster_file, output, check=check)
    for problem in result.warnings:
        console.warning(problem)
    if as_json:
        console.out_json(_as_json(result, check=check), result.warnings)
    elif check:
        for change in result.changes:
            console.out(f"{change.kind:6}  {result.root / change.path}")
        if not result.changes:
            console.out(f"{result.root / 'bake'} is up to date")
    else:
        _print(result)
    return ExitCode.DIFFERENCE if check and result.changes else ExitCode.DONE


def _verify(cluster_file: Path, root: Path, *, as_json: bool) -> int:
    from kgen import api

    found = api.verify_image(cluster_file, root)
    if as_json:
        listed = [{"path": it.path, "message": it.message} for it in found]
        console.out_json({"root": str(root), "differences": listed})
    else:
        for it in found:
            console.out(f"{it.path}: {it.message}")
        if not found:
            console.out(f"{root} matches the recipe")
    return ExitCode.DIFFERENCE if found else ExitCode.DONE


def _print(result: BakeResult) -> None:
    directory = result.root / "bake"
    recipe = result.recipe
    console.out(f"{directory}: recipe {recipe.sha256[:12]} for Kubernetes {recipe.kubernetes_version}")
    console.out(f"{len(recipe.container_images)} container images, {len(result.changes)} files changed")
    console.out(
        f"next: make an image with Packer, in a running VM or in a tree: {directory}/README.md has the commands"
    )


def _as_json(result: BakeResult, *, check: bool) -> dict[str, object]:
    return {
        "root": str(result.root / "bake"),
        "check": check,
        "recipe": result.recipe.sha256,
        "kubernetesVersion": result.recipe.kubernetes_version,
        "containerImages": list(result.recipe.container_images),
        "changes": [{"path": str(result.root / change.path), "kind": change.kind} for change in result.changes],
    }
