"""What depends on the Kubernetes version, as rows and named questions; nothing else compares versions.

Facts: what the real kubeadm of each minor prints (``kubeadm config images list``, ``kubeadm init --dry-run``), as
tests/oracle compares it, and the release notes that say from which patch on. Functions take supported versions only.
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
    """Return whether this patch's image tags are known; a newer one's are assumed to be the same."""
    return version.patch <= LAST_KNOWN_PATCH[version.minor]


def release_of(version: Version) -> Release:
    """Return the row of image tags that holds for ``version``, which must be supported."""
    rows = [row for row in RELEASES if row.minor == version.minor and row.first_patch <= version.patch]
    return rows[-1]


# Static pods.


def names_probe_ports(version: Version) -> bool:
    """Return whether static pods and CoreDNS name the ports that their probes ask."""
    return version.minor >= 34


def mounts_flexvolumes(version: Version) -> bool:
    """Return whether kube-controller-manager sees the machine's flexvolume plugins."""
    return version.minor <= 35


def etcd_version(version: Version, image_tag: str = "") -> tuple[int, int, int, bool] | None:
    """Return the numbers of the etcd that is run and whether it is no pre-release; None where the tag does not say.

    ``image_tag`` is that of the cluster file, empty for kubeadm's.
    """
    match = _ETCD_TAG.fullmatch(image_tag or release_of(version).etcd)
    return (int(match[1]), int(match[2]), int(match[3]), match[4] is None) if match else None


def etcd_flags_are_experimental(version: Version, image_tag: str = "") -> bool:
    """Return whether etcd is given the flags of before 3.6: by Kubernetes' version, between the two by etcd's."""
    if version.minor in (34, 35):
        etcd = etcd_version(version, image_tag)
        return etcd is None or etcd < (3, 6, 0, True)
    return version.minor < 34


# The kubelet, its Node and its client.


def has_instance_config(version: Version) -> bool:
    """Return whether the CRI socket stands in ``instance-config.yaml``, not in a flag and an annotation of the Node."""
    return version.minor >= 34


def tells_kubelet_the_pause_image(version: Version) -> bool:
    """Return whether the kubelet is given ``--pod-infra-container-image``, a flag that v1.35 does not have."""
    return version.minor <= 34


_BOUND_FROM_PATCH = {33: 12, 34: 8, 35: 5, 36: 1}


def binds_kubelet_client(version: Version) -> bool:
    """Return whether the API servers' client at kubelets has a binding of its own, not the administrators' group."""
    return version.patch >= _BOUND_FROM_PATCH.get(version.minor, 0)


# Texts.


def has_empty_preferences(version: Version) -> bool:
    """Return whether kubeconfigs carry an empty ``preferences``."""
    return version.minor <= 33


def names_proxy_mode(version: Version) -> bool:
    """Return whether kube-proxy is told its mode, not left to its default, which is the same."""
    return version.minor >= 37


# What the cluster file may ask for.


def has_reached(version: Version, minor: int) -> bool:
    """Return whether ``version`` is v1.``minor`` or newer, for tables whose rows say since when they hold."""
    return version.minor >= minor


def takes_p384(version: Version) -> bool:
    """Return whether kubeadm knows the algorithm ``ECDSA-P384``."""
    return version.minor >= 34


_KUBELET_FIELDS_SINCE = {"defaultPodSysctls": 37, "memoryReservationPolicy": 36, "tlsCurvePreferences": 36}


def kubelet_field_since(version: Version, field: str) -> str:
    """Return the minor that brought a field of KubeletConfiguration, where ``version`` is older; else nothing."""
    since = _KUBELET_FIELDS_SINCE.get(field, 0)
    return "" if version.minor >= since else f"v1.{since}"


_LAST_WITH_GATE = {
    "ControlPlaneKubeletLocalMode": 35,
    "NodeLocalCRISocket": 36,
    "PublicKeysECDSA": 36,
    "WaitForAllControlPlaneComponents": 34,
}


def has_gate(version: Version, gate: str) -> bool:
    """Return whether kubeadm still has a gate that later ones refuse."""
    return version.minor <= _LAST_WITH_GATE.get(gate, 0)


def deprecates_ipvs(version: Version) -> bool:
    """Return whether kube-proxy's mode ipvs is on its way out."""
    return version.minor >= 35
