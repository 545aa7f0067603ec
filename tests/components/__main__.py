"""Builds every component the tests use, so that the time of a test run is the tests' own.

``python -m tests.components [test|boot|soak]``: what `make test`, `make boot-test` or `make soak` needs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from . import cache, cloudinit, debian, golang, machine_image

KUBERNETES_VERSION = "1.37.2"
OLDER_VERSIONS = ("1.36.3", "1.35.4", "1.34.4", "1.33.13")  # kubeadm of each is asked what it would write
ETCD_VERSION = "3.7.0"
PYTHON_SUITES = ("bullseye", "forky")  # the oldest and the newest Python the runner meets

Component = tuple[str, Callable[[], Path]]


def _machine(generation: machine_image.Generation) -> Component:
    return f"machine of {generation.suite}", lambda: machine_image.machine_image(generation)


COMPONENTS: dict[str, tuple[Component, ...]] = {
    "test": (
        ("Kubernetes", lambda: golang.kubernetes(KUBERNETES_VERSION)),
        *(
            (f"kubeadm {version}", lambda version=version: golang.kubernetes(version, ("kubeadm",)))
            for version in OLDER_VERSIONS
        ),
        ("etcd", lambda: golang.etcd(ETCD_VERSION)),
        *(
            (f"cloud-init {version}", lambda suite=suite: cloudinit.tree(suite))
            for version, suite in cloudinit.SUITES.items()
        ),
        *((f"Python of {suite}", lambda suite=suite: debian.python(suite)) for suite in PYTHON_SUITES),
    ),
    "boot": (
        _machine(machine_image.FORKY),
        _machine(machine_image.BOOKWORM),
        ("cloud image of forky", lambda: machine_image.cloud_image("forky")),
        ("tree of trixie", lambda: machine_image.base("trixie")),
        ("Packer", lambda: debian.root("packer", "bookworm", ["packer"])),
    ),
    "soak": tuple(map(_machine, machine_image.GENERATIONS.values())),
}


def main(wanted: str) -> None:
    """Build what the cache lacks, one after the other, and say where each is."""
    for name, make in COMPONENTS[wanted]:
        cache.say(f"{name}: {make()}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "test")
