"""Root trees of real Debians and the recipes that are applied to them: needs root, and the package index for Salt."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kgen import api
from tests.boot.conftest import pytest_runtest_makereport as pytest_runtest_makereport
from tests.components import cache, containers, golang, machine_image
from tests.components.machine_image import FORKY, Generation


@pytest.fixture(scope="session", autouse=True)
def host() -> None:
    if os.geteuid():
        pytest.fail("bake tests need root: chroot, mounts, owners of files", pytrace=False)


class Tree:
    """The tree of an installed Debian of ``suite`` in ``directory``, on which nothing was done yet.

    ``image`` are more lines of the section ``image:`` of its cluster file.
    """

    def __init__(self, directory: Path, suite: str, image: str = "") -> None:
        self.directory = directory
        self.image = image
        self.root = directory / "root"
        cache.run(["cp", "--archive", "--reflink=auto", machine_image.base(suite), self.root])

    def recipe(self, generation: Generation = FORKY) -> Path:
        """Write the recipe for a release and return its directory; its cluster file stands beside the tree."""
        made = machine_image.recipe(generation, self.directory)
        if self.image:
            cluster = self.directory / "cluster.yaml"
            cluster.write_text(cluster.read_text().replace("image:\n", f"image:\n{self.image}"))
            made = api.bake(cluster, self.directory)
        return made.root / "bake"

    def apply(
        self,
        *options: str,
        generation: Generation = FORKY,
        archives: Path | None = None,
        files: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Apply the recipe for a release, with all it needs unless told otherwise."""
        archives = archives or containers.archives(
            generation.kubernetes, generation.etcd, generation.coredns, generation.pause
        )
        files = files or golang.kubernetes(generation.kubernetes)
        return machine_image.apply(self.recipe(generation), self.root, archives, files, *options)

    def remove(self) -> None:
        shutil.rmtree(self.root)
