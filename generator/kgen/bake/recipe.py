"""Cluster → Recipe: everything an image holds, by role set and Kubernetes version, never by machine. Pure.

Nothing here is one cluster's own: no key, no token, no name, no address.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, get_args

from kgen import __version__, names, providers, resources
from kgen.config.image_fields import PROGRAMS
from kgen.config.model import Cluster, Role
from kgen.render import delivery, engine, files, images, payload_json
from kgen.render.image_texts import image_texts

_PUBLIC, _PROGRAM = 0o644, 0o755
_LOCAL_DATASOURCES = ("NoCloud", "ConfigDrive", "None")
"""Where no provider is named: nothing is asked over a network."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file that is the same in every image of this recipe."""

    path: PurePosixPath
    text: str = field(repr=False)
    mode: int = _PUBLIC


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an image holds.

    ``programs`` says where each of ``PROGRAMS`` comes from: ``{"package": version}``, ``{"url", "sha256"}`` or
    ``{"file", "sha256"}``. ``packages`` are pinned versions by kgen's names (templates/salt/kgen/map.jinja). ``means``
    is what carries it out, states and scripts, by path below the bake's directory.
    """

    kubernetes_version: str
    programs: Mapping[str, Mapping[str, str]]
    packages: Mapping[str, str]
    container_images: tuple[str, ...]
    files: tuple[ImageFile, ...]
    means: Mapping[str, str] = field(repr=False)

    @property
    def sha256(self) -> str:
        """Return the checksum of all of it, in hexadecimal."""
        return hashlib.sha256(payload_json.canonical(self._content).encode("ascii")).hexdigest()

    @property
    def image(self) -> dict[str, Any]:
        """Return what ``/etc/kgen/image.json`` says beside what is only known when it is made."""
        return {
            "kgen": __version__,
            "kubernetesVersion": self.kubernetes_version,
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
        files=tuple(sorted(_files(cluster), key=lambda file: file.path)),
        means=_means(cluster),
    )


def container_images(cluster: Cluster) -> tuple[str, ...]:
    """Return the references of all container images of a machine as kubeadm lists them, then the user's."""
    addons = ([] if cluster.proxy.disabled else [images.component(cluster, "kube-proxy")]) + (
        [] if cluster.dns.disabled else [images.coredns(cluster)]
    )
    components = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    return (
        *(images.component(cluster, name) for name in components),
        *addons,
        images.pause(cluster),
        images.etcd(cluster),
        *cluster.image.container_images,
    )


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
    found = [
        ImageFile(PurePosixPath("/", *PurePosixPath(name).parts), resources.template_text(f"bake/tree/{name}"), mode)
        for name, mode in _TREE.items()
    ]
    for role in get_args(Role):
        texts = image_texts(cluster.kubernetes_version, role)
        base = names.BAKED_RUNNERS / f"firstboot-{role}"
        found += [
            ImageFile(base.with_suffix(".py"), texts.runner, _PROGRAM),
            ImageFile(base.with_suffix(".json"), texts.text),
        ]
    found.append(ImageFile(names.BAKED_DELIVERY, delivery.image_delivery(), _PROGRAM))
    found.append(ImageFile(names.BAKED_LAUNCH, delivery.image_launch(), _PROGRAM))
    modules = "".join(f"{module}\n" for module in files.MODULES)
    found.append(ImageFile(PurePosixPath("/etc/modules-load.d/kgen.conf"), modules))
    found.append(ImageFile(PurePosixPath("/etc/cloud/cloud.cfg.d/95-kgen.cfg"), _cloud_config(cluster)))
    return found


_TREE = {
    "usr/lib/systemd/system/kubelet.service": _PUBLIC,
    "usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf": _PUBLIC,
    **{f"usr/lib/systemd/system/{unit}.service": _PUBLIC for unit in names.FIRST_BOOT_UNITS},
    "etc/sysctl.d/kgen-image.conf": _PUBLIC,
    "etc/systemd/journald.conf.d/kgen.conf": _PUBLIC,
}
"""Files of ``templates/bake/tree``, copied as they are."""


def _cloud_config(cluster: Cluster) -> str:
    """Return what the image tells cloud-init: where user-data comes from."""
    provider = providers.PROVIDERS.get(cluster.provider)
    datasources = [provider.datasource, "None"] if provider else list(_LOCAL_DATASOURCES)
    return engine.render("cloud-init/image.yaml.j2", datasources=datasources)
