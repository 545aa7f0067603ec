"""Builds every component the tests use, so that the time of a test run is the tests' own."""

from __future__ import annotations

from . import cache, cloudinit, debian, golang

KUBERNETES_VERSION = "1.37.2"
ETCD_VERSION = "3.7.0"
PYTHON_SUITES = ("bullseye", "forky")  # the oldest and the newest Python the runner meets

COMPONENTS = (
    ("Kubernetes", lambda: golang.kubernetes(KUBERNETES_VERSION)),
    ("etcd", lambda: golang.etcd(ETCD_VERSION)),
    *(
        (f"cloud-init {version}", lambda suite=suite: cloudinit.tree(suite))
        for version, suite in cloudinit.SUITES.items()
    ),
    *((f"Python of {suite}", lambda suite=suite: debian.python(suite)) for suite in PYTHON_SUITES),
)


def main() -> None:
    """Build what the cache lacks, one after the other, and say where each is."""
    for name, make in COMPONENTS:
        cache.say(f"{name}: {make()}")


if __name__ == "__main__":
    main()
