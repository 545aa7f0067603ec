"""Cluster → Recipe: everything an image holds, by role set and Kubernetes version, never by machine. Pure.

A recipe contains nothing of one cluster: no key, no token, no name, no address.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, get_args

from kgen import __version__, engine, resources
from kgen.conditions import has_coredns, has_kube_proxy, has_local_etcd
from kgen.config.image_fields import PROGRAMS
from kgen.content import files, images, metadata_fence
from kgen.facts import names, providers
from kgen.firstboot import payload_json, program
from kgen.model import Cluster, Role
from kgen.payload import FORMAT, FORMAT_SEALED, FORMAT_WITH_OWN_VALUES, FORMAT_WITH_STORED_TOKEN
from kgen.user_data import document

_PUBLIC, _PRIVATE, _PROGRAM = 0o644, 0o600, 0o755
PAYLOAD_FORMATS = (FORMAT, FORMAT_WITH_OWN_VALUES, FORMAT_SEALED, FORMAT_WITH_STORED_TOKEN)
"""The formats of payload.json that the programs of the image take. Any kgen that writes one of them can use it."""

UNITS = PurePosixPath("/etc/systemd/system")
_LOCAL_DATASOURCES = ("NoCloud", "ConfigDrive", "None")
"""cloud-init's sources of user-data if the file names no provider. None of them uses a network."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file that is the same in every image of this recipe."""

    path: PurePosixPath
    text: str = field(repr=False)
    mode: int = _PUBLIC


@dataclass(frozen=True, slots=True)
class Recipe:
    """The content of an image.

    ``programs`` says where each of ``PROGRAMS`` comes from: ``{"package": version}``, ``{"url", "sha256"}`` or
    ``{"file", "sha256"}``. ``packages`` are pinned versions by kgen's names (templates/salt/kgen/map.jinja),
    ``extra_packages`` more packages by the distribution's names. ``units`` are enabled beside kgen's. ``means`` are the
    states and scripts that carry it out, by path below the bake's directory.
    """

    kubernetes_version: str
    programs: Mapping[str, Mapping[str, str]]
    packages: Mapping[str, str]
    container_images: tuple[str, ...]
    extra_packages: tuple[str, ...]
    units: tuple[str, ...]
    files: tuple[ImageFile, ...]
    means: Mapping[str, str] = field(repr=False)

    @property
    def sha256(self) -> str:
        """Return the checksum of all of it, in hexadecimal."""
        return hashlib.sha256(payload_json.canonical(self._content).encode("ascii")).hexdigest()

    @property
    def image(self) -> dict[str, Any]:
        """Return the part of ``/etc/kgen/image.json`` that is known before the image is made."""
        return {
            "kgen": __version__,
            "kubernetesVersion": self.kubernetes_version,
            "payloadFormats": list(PAYLOAD_FORMATS),
            "programs": {name: dict(source) for name, source in self.programs.items()},
            "recipe": self.sha256,
        }

    @property
    def _content(self) -> dict[str, Any]:
        return {
            "kubernetesVersion": self.kubernetes_version,
            "programs": {name: dict(source) for name, source in self.programs.items()},
            "packages": dict(self.packages),
            "containerImages": list(self.container_images),
            "extraPackages": list(self.extra_packages),
            "units": list(self.units),
            "files": {str(file.path): [file.mode, file.text] for file in self.files},
            "means": dict(self.means),
        }


def recipe(cluster: Cluster) -> Recipe:
    """Return the recipe of the image that the machines of ``cluster`` start from."""
    return Recipe(
        kubernetes_version=str(cluster.kubernetes_version),
        programs={name: cluster.image.source(name, cluster.kubernetes_version) for name in PROGRAMS},
        packages=dict(cluster.image.packages),
        container_images=container_images(cluster),
        extra_packages=extra_packages(cluster),
        units=tuple(cluster.image.units),
        files=tuple(sorted(_files(cluster), key=lambda file: file.path)),
        means=_means(cluster),
    )


def container_images(cluster: Cluster) -> tuple[str, ...]:
    """Return the references of all container images of a machine: as kubeadm lists them, then the user's."""
    addons = ([images.component(cluster, "kube-proxy")] if has_kube_proxy(cluster) else []) + (
        [images.coredns(cluster)] if has_coredns(cluster) else []
    )
    components = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    return (
        *(images.component(cluster, name) for name in components),
        *addons,
        images.pause(cluster),
        *([images.etcd(cluster)] if has_local_etcd(cluster) else []),
        *dict.fromkeys((*cluster.static_pod_images, *cluster.image.container_images)),
    )


def extra_packages(cluster: Cluster) -> tuple[str, ...]:
    """Return packages by the distribution's names: the user's, and what the cluster's own files need."""
    fence = (metadata_fence.PACKAGE,) if cluster.metadata_fence else ()
    return tuple(dict.fromkeys((*cluster.image.extra_packages, *fence)))


_STATES = ("init", "packages", "system", "containerd", "kubernetes", "files", "container_images", "record", "hygiene")
CONTAINERD_FORMATS = (2, 3)


def _means(cluster: Cluster) -> dict[str, str]:
    states = ("top.sls", "kgen/map.jinja", *(f"kgen/{name}.sls" for name in _STATES))
    scripts = ("checksum", "container-images", "report", "requirements.txt", "salt")
    return {
        "apply": resources.template_text("bake/apply"),
        **{f"scripts/{name}": resources.template_text(f"bake/scripts/{name}") for name in scripts},
        **{f"salt/{name}": resources.template_text(f"salt/{name}") for name in states},
        "salt/kgen/files/containerd.service": resources.template_text("bake/files/containerd.service"),
        **{f"salt/kgen/files/containerd-{it}.toml": containerd_config(cluster, it) for it in CONTAINERD_FORMATS},
    }


def containerd_config(cluster: Cluster, version: int) -> str:
    """Return containerd's configuration of format ``version``: 2 for 1.x, 3 for 2.x."""
    text = resources.template_text(f"bake/files/containerd-{version}.toml")
    return text.replace("PAUSE", images.pause(cluster))


def _files(cluster: Cluster) -> list[ImageFile]:
    modes = _TREE | (dict.fromkeys(_KUBELET_UNIT, _PRIVATE) if cluster.hardening != "none" else {})
    found = [
        ImageFile(PurePosixPath("/", *PurePosixPath(name).parts), resources.template_text(f"bake/tree/{name}"), mode)
        for name, mode in modes.items()
    ]
    for role in get_args(Role):
        text = program.program(role, with_comments=True)
        found.append(ImageFile(names.image_runner(role), text, _PROGRAM))
    found.append(ImageFile(names.IMAGE_DELIVER, document.image_deliver(), _PROGRAM))
    modules = "".join(f"{module}\n" for module in files.MODULES)
    found.append(ImageFile(PurePosixPath("/etc/modules-load.d/kgen.conf"), modules))
    found.append(ImageFile(PurePosixPath("/etc/cloud/cloud.cfg.d/95-kgen.cfg"), _cloud_config(cluster)))
    for unit, content in cluster.image.units.items():
        if content is not None:
            found.append(ImageFile(UNITS / unit, content))
    return found


_KUBELET_UNIT = (
    "usr/lib/systemd/system/kubelet.service",
    "usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf",
)
_TREE = {
    **dict.fromkeys(_KUBELET_UNIT, _PUBLIC),
    **{f"usr/lib/systemd/system/{unit}.service": _PUBLIC for unit in names.FIRST_BOOT_UNITS},
    "etc/sysctl.d/kgen-image.conf": _PUBLIC,
    "etc/systemd/journald.conf.d/kgen.conf": _PUBLIC,
}
"""Files of ``templates/bake/tree``, copied as they are."""


def _cloud_config(cluster: Cluster) -> str:
    """Return the image's configuration of cloud-init, which names the sources of user-data."""
    provider = providers.PROVIDERS.get(cluster.provider)
    datasources = [provider.datasource, "None"] if provider else list(_LOCAL_DATASOURCES)
    return engine.render("cloud-init/image.yaml.j2", datasources=datasources)
