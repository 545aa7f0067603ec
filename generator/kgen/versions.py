"""What depends on the Kubernetes version, as rows and named questions; nothing else compares versions."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PATTERN = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)


@dataclass(frozen=True, order=True, slots=True)
class Version:
    """A Kubernetes release, ``v1.37.2``."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        """Return the version as Kubernetes spells it, with the leading ``v``."""
        return f"v{self.major}.{self.minor}.{self.patch}"


@dataclass(frozen=True, slots=True)
class Release:
    """Image tags that kubeadm of a minor uses from ``first_patch`` on (``kubeadm config images list``)."""

    minor: int
    first_patch: int
    coredns: str
    etcd: str
    pause: str


RELEASES: tuple[Release, ...] = (Release(37, 0, coredns="v1.14.6", etcd="3.7.0-0", pause="3.10.2"),)
"""Sorted by minor and first patch; a row holds until the next one of its minor."""

LAST_KNOWN_PATCH = {37: 2}
"""The newest patch of each minor whose tags were read from the real kubeadm."""


def parse_version(text: str) -> Version | None:
    """Return the version written as ``vX.Y.Z`` in full, or None."""
    match = _PATTERN.fullmatch(text)
    return Version(*map(int, match.groups())) if match else None


def is_supported(version: Version) -> bool:
    """Return whether kgen renders this minor; each one listed was tried on its real binaries."""
    return version.major == 1 and version.minor in LAST_KNOWN_PATCH


def supported_minors() -> list[str]:
    """Return the supported minors as people write them, oldest first: ``["v1.37"]``."""
    return [f"v1.{minor}" for minor in sorted(LAST_KNOWN_PATCH)]


def newest() -> Version:
    """Return the newest release whose image tags are known."""
    minor = max(LAST_KNOWN_PATCH)
    return Version(1, minor, LAST_KNOWN_PATCH[minor])


def is_known_patch(version: Version) -> bool:
    """Return whether this patch's image tags were read from the real kubeadm."""
    return version.patch <= LAST_KNOWN_PATCH[version.minor]


def release_of(version: Version) -> Release:
    """Return the row of image tags that holds for ``version``, which must be supported."""
    rows = [row for row in RELEASES if row.minor == version.minor and row.first_patch <= version.patch]
    return rows[-1]
