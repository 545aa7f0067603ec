"""Facts that depend on the Kubernetes version, as rows and named questions. No other module compares versions.

Sources: the output of the real kubeadm of each minor (``kubeadm config images list``, ``kubeadm init --dry-run``),
which tests/oracle compares, and the release notes for the patch that brought a change. Functions take supported
versions only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PATTERN = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)
_ETCD_TAG = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?", re.ASCII)


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


RELEASES: tuple[Release, ...] = (
    Release(33, 0, coredns="v1.12.0", etcd="3.5.21-0", pause="3.10"),
    Release(33, 6, coredns="v1.12.0", etcd="3.5.24-0", pause="3.10"),
    Release(34, 0, coredns="v1.12.1", etcd="3.6.4-0", pause="3.10.1"),
    Release(34, 2, coredns="v1.12.1", etcd="3.6.5-0", pause="3.10.1"),
    Release(35, 0, coredns="v1.13.1", etcd="3.6.6-0", pause="3.10.1"),
    Release(36, 0, coredns="v1.14.2", etcd="3.6.8-0", pause="3.10.2"),
    Release(37, 0, coredns="v1.14.6", etcd="3.7.0-0", pause="3.10.2"),
)
"""Sorted by minor and first patch; a row holds until the next one of its minor."""

LAST_KNOWN_PATCH = {33: 13, 34: 10, 35: 7, 36: 3, 37: 2}
"""The newest patch of each minor whose tags are known."""


def parse_version(text: str) -> Version | None:
    """Return the version written as ``vX.Y.Z`` in full, or None."""
    match = _PATTERN.fullmatch(text)
    return Version(*map(int, match.groups())) if match else None


def is_supported(version: Version) -> bool:
    """Return whether kgen renders this minor; each supported one was tried on its real binaries."""
    return version.major == 1 and version.minor in LAST_KNOWN_PATCH


def supported_minors() -> list[str]:
    """Return the supported minors as people write them, oldest first: ``["v1.37"]``."""
    return [f"v1.{minor}" for minor in sorted(LAST_KNOWN_PATCH)]


def newest() -> Version:
    """Return the newest release whose image tags are known."""
    minor = max(LAST_KNOWN_PATCH)
    return Version(1, minor, LAST_KNOWN_PATCH[minor])


def is_known_patch(version: Version) -> bool:
    """Return whether this patch's image tags are known; kgen assumes the same tags for a newer patch."""
    return version.patch <= LAST_KNOWN_PATCH[version.minor]


def release_of(version: Version) -> Release:
    """Return the row of image tags that holds for ``version``, which must be supported."""
    rows = [row for row in RELEASES if row.minor == version.minor and row.first_patch <= version.patch]
    return rows[-1]


def has_http_endpoints(version: Version) -> bool:
    """Return whether kubeadm knows ``httpEndpoints`` of an external etcd."""
    return version.minor >= 35


# Static pods.


def names_probe_ports(version: Version) -> bool:
    """Return whether the probes of static pods and CoreDNS refer to their ports by name."""
    return version.minor >= 34


def mounts_flexvolumes(version: Version) -> bool:
    """Return whether kube-controller-manager mounts the machine's flexvolume plugins."""
    return version.minor <= 35


@dataclass(frozen=True, slots=True)
class Etcd:
    """The etcd that a cluster runs, and which flags it takes. ``minor`` is as people write it: ``3.6``."""

    minor: str
    takes_experimental_flags: bool
    takes_their_successors: bool


def etcd(version: Version, image_tag: str = "") -> Etcd | None:
    """Return the etcd of a cluster, or None if its version cannot be read from the image's tag.

    ``image_tag`` is the cluster file's, empty for kubeadm's own.
    """
    numbers = _etcd_numbers(version, image_tag)
    return Etcd(f"{numbers[0]}.{numbers[1]}", numbers < (3, 7), numbers >= (3, 6)) if numbers else None


def _etcd_numbers(version: Version, image_tag: str) -> tuple[int, int, int, bool] | None:
    """Return etcd's three numbers and whether it is a final release, which sorts after its pre-releases."""
    tag = image_tag.partition("@")[0]  # a digest may follow
    match = _ETCD_TAG.fullmatch(tag or release_of(version).etcd)
    return (int(match[1]), int(match[2]), int(match[3]), match[4] is None) if match else None


def etcd_flags_are_experimental(version: Version, image_tag: str = "") -> bool:
    """Return whether kubeadm gives etcd the flags of etcd 3.5 and older.

    kubeadm v1.34 and v1.35 look at etcd's version, which they cannot read beside a digest; the others always do the
    same.
    """
    if version.minor in (34, 35):
        if "@" in image_tag:
            return True
        numbers = _etcd_numbers(version, image_tag)
        return numbers is None or numbers < (3, 6, 0, True)
    return version.minor < 34


# The kubelet, its Node and its client.


def has_instance_config(version: Version) -> bool:
    """Return whether ``instance-config.yaml`` holds the CRI socket, and not a flag and an annotation of the Node."""
    return version.minor >= 34


def tells_kubelet_the_pause_image(version: Version) -> bool:
    """Return whether the kubelet gets ``--pod-infra-container-image``, a flag that v1.35 removed."""
    return version.minor <= 34


_BOUND_FROM_PATCH = {33: 12, 34: 8, 35: 5, 36: 1}


def binds_kubelet_client(version: Version) -> bool:
    """Return whether the API servers' client at the kubelets has a binding of its own.

    Otherwise it is in the administrators' group.
    """
    return version.patch >= _BOUND_FROM_PATCH.get(version.minor, 0)


# Texts.


def has_empty_preferences(version: Version) -> bool:
    """Return whether kubeconfigs carry an empty ``preferences``."""
    return version.minor <= 33


def names_proxy_mode(version: Version) -> bool:
    """Return whether kube-proxy's configuration names its mode, which is also the default."""
    return version.minor >= 37


# Values that the cluster file may contain.


def has_reached(version: Version, minor: int) -> bool:
    """Return whether ``version`` is v1.``minor`` or newer, for tables whose rows name their first minor."""
    return version.minor >= minor


def takes_p384(version: Version) -> bool:
    """Return whether kubeadm knows the algorithm ``ECDSA-P384``."""
    return version.minor >= 34


_LAST_WITH_GATE = {
    "ControlPlaneKubeletLocalMode": 35,
    "NodeLocalCRISocket": 36,
    "PublicKeysECDSA": 36,
    "WaitForAllControlPlaneComponents": 34,
}


def has_gate(version: Version, gate: str) -> bool:
    """Return whether this kubeadm has a feature gate that later ones refuse."""
    return version.minor <= _LAST_WITH_GATE.get(gate, 0)


def has_node_port_keywords(version: Version) -> bool:
    """Return whether kube-proxy takes ``localhost`` and ``all`` for addresses, and ``primary`` beside others."""
    return version.minor >= 37


def checks_flush_frequency(version: Version) -> bool:
    """Return whether kubelet and kube-proxy refuse a negative ``logging.flushFrequency``."""
    return version.minor >= 35


def guards_memory_throttling(version: Version) -> bool:
    """Return whether the kubelet refuses ``memoryThrottlingFactor`` while the feature gate MemoryQoS is off."""
    return version.minor >= 37


def deprecates_ipvs(version: Version) -> bool:
    """Return whether kube-proxy's mode ipvs is deprecated."""
    return version.minor >= 35
