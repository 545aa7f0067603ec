"""Builds every component the tests use, so that the time of a test run is the tests' own.

``python -m tests.components [test|boot|oracle|soak]`` builds what the target of `make` with this name needs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tests.oracle import kubeadm

from . import cache, cloudinit, containers, debian, golang, hetzner, keepalived, machine_image

KUBERNETES_VERSION = "1.37.2"
ETCD_VERSION = "3.7.0"
AGE_VERSION = "1.3.1"
OPENTOFU_VERSION = "1.12.6"
LIBVIRT_PROVIDER_VERSION = "0.8.3"
SOPS_VERSION = "3.13.3"
PYTHON_SUITES = ("bullseye", "forky")  # the oldest and the newest Python the runner meets

Component = tuple[str, Callable[[], Path]]


def _machine(generation: machine_image.Generation) -> Component:
    return f"machine of {generation.suite}", lambda: machine_image.machine_image(generation)


def _images(generation: machine_image.Generation) -> Path:
    return containers.archives(generation.kubernetes, generation.etcd, generation.coredns, generation.pause)


# Only `make oracle` and `make soak` build these: for `make test` their answers are recorded in tests/oracle/records.
OLDER_KUBEADMS: tuple[Component, ...] = tuple(
    (f"kubeadm {version}", lambda version=version: kubeadm.program(version).parent) for version in kubeadm.RECORDED
)

# The tables of these are in kgen/facts/tables; `make soak` compares them with what the programs say.
OLDER_PROBES: tuple[Component, ...] = tuple(
    (f"probes {version}", lambda version=version: golang.probes(version.removeprefix("v")))
    for version in kubeadm.RECORDED
)

COMPONENTS: dict[str, tuple[Component, ...]] = {
    "test": (
        ("Kubernetes", lambda: golang.kubernetes(KUBERNETES_VERSION)),
        ("probes", lambda: golang.probes(KUBERNETES_VERSION)),
        ("etcd", lambda: golang.etcd(ETCD_VERSION)),
        ("age", lambda: golang.age(AGE_VERSION)),
        ("sops", lambda: golang.sops(SOPS_VERSION)),
        ("etcdutl", lambda: golang.etcd(ETCD_VERSION, ("etcdutl",))),
        *(
            (f"cloud-init {version}", lambda suite=suite: cloudinit.tree(suite))
            for version, suite in cloudinit.SUITES.items()
        ),
        ("OpenTofu", lambda: golang.opentofu(OPENTOFU_VERSION)),
        ("OpenTofu's provider for libvirt", lambda: golang.libvirt_provider(LIBVIRT_PROVIDER_VERSION)),
        ("hcloud", hetzner.tree),
        ("keepalived", keepalived.tree),
        *((f"Python of {suite}", lambda suite=suite: debian.python(suite)) for suite in PYTHON_SUITES),
    ),
    "boot": (
        _machine(machine_image.FORKY),
        *((f"tree of {suite}", lambda suite=suite: machine_image.base(suite)) for suite in ("bookworm", "trixie")),
        ("images of bookworm's release", lambda: _images(machine_image.BOOKWORM)),
        ("Packer", lambda: debian.root("packer", "bookworm", ["packer"])),
    ),
    "oracle": OLDER_KUBEADMS,
    "soak": (
        *OLDER_KUBEADMS,
        *OLDER_PROBES,
        *map(_machine, machine_image.GENERATIONS.values()),
        *(
            (f"cloud image of {suite}", lambda suite=suite: machine_image.cloud_image(suite))
            for suite in ("forky", "trixie")
        ),
    ),
}


def main(wanted: str) -> None:
    """Build what the cache lacks, one after the other, and say where each is."""
    for name, make in COMPONENTS[wanted]:
        cache.say(f"{name}: {make()}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "test")
