"""``kgen images``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from kgen.cli import arguments, console


@click.group(short_help="List, pull or save the container images of the machines.")
def images() -> None:
    """List, pull or save the container images that the machines run and that `kgen bake` puts into their image."""


@images.command("list", short_help="Print the references.")
@arguments.CLUSTER_FILE
@arguments.JSON
def list_(cluster_file: Path, as_json: bool) -> None:
    """Print the references of all container images, as `kubeadm config images list` does. Needs no network."""
    from kgen import api

    found = api.container_images(cluster_file)
    if as_json:
        console.out_json({"containerImages": list(found)})
    else:
        console.out("\n".join(found))


@images.command(short_help="Save an archive of each to a directory.")
@arguments.CLUSTER_FILE
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--archives",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    multiple=True,
    metavar="DIR",
    help="Copy images from archives in DIR, where it has them; may be given more than once.",
)
@arguments.JSON
def save(cluster_file: Path, directory: Path, archives: tuple[Path, ...], as_json: bool) -> None:
    """Save an archive of each container image to DIRECTORY, with checksums in images.sha256.

    Archives that DIRECTORY has are kept. The others come from --archives, or from the registries with skopeo,
    docker, podman, nerdctl or ctr, whichever is installed.
    """
    from kgen import api

    say = console.note if as_json else console.out
    found = api.save_container_images(cluster_file, directory, archives, on_progress=_lines(say))
    if as_json:
        console.out_json({"directory": str(directory), "containerImages": list(found)})
    else:
        console.out(f"{directory}: {len(found)} archives; next: apply --archives {directory}")


@images.command(short_help="Pull them into this machine's container runtime.")
@arguments.CLUSTER_FILE
@arguments.JSON
def pull(cluster_file: Path, as_json: bool) -> None:
    """Pull every container image into this machine's containerd or Docker."""
    from kgen import api

    found = api.pull_container_images(cluster_file, on_progress=_lines(console.note if as_json else console.out))
    if as_json:
        console.out_json({"containerImages": list(found)})
    else:
        console.out(f"{len(found)} container images pulled")


def _lines(say: Callable[[str], None]) -> Callable[[str, str], None]:
    """Return a function that says the result for each image."""
    return lambda image, what: say(f"{what:7} {image}")
