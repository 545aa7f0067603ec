"""``image``: what the machines' image holds, and where ``kgen bake`` takes it from."""

from __future__ import annotations

from kgen.config import values
from kgen.reader.kinds import Choice, Text
from kgen.reader.objects import ByShape, Field, Foreign, ListOf, Object

PROGRAMS = ("kubelet", "kubectl")
PACKAGES = (
    "ca-certificates",
    "cloud-init",
    "cni-plugins",
    "conntrack",
    "containerd",
    "e2fsprogs",
    "ethtool",
    "iproute",
    "iptables",
    "kmod",
    "mount",
    "nftables",
    "ntp",
    "python",
    "runc",
    "socat",
    "util-linux",
)
"""The distribution's packages in an image; templates/salt/kgen/map.jinja has each family's names for them."""

_PACKAGE_VERSION = Text(values.package_version, "a package's version", is_unambiguous=True)


def _program(name: str) -> Field:
    fields = (
        Field("package", _PACKAGE_VERSION, "a package's version", default_note="the release's, any revision"),
        Field("url", Text(values.http_url, "an URL"), "where to download it", default_note="a package"),
        Field("file", Text(values.file_name, "a file's name"), "its name in `apply --files`", default_note="a package"),
        Field("sha256", Text(values.sha256, "a SHA-256"), "of the file or download", default_note="none"),
    )
    example = "write {package: 1.37.2-1.1}, or {url: …, sha256: …}, or {file: …, sha256: …}"
    return Field(name, Object(fields, example=example), f"where {name} comes from")


_UNIT = Object(
    (
        Field("name", Text(values.unit_name, "a unit's name"), "the unit, with its suffix", is_required=True),
        Field("content", Text(), "the text of its file in /etc/systemd/system; without it a package brings the unit"),
        Field("source", Text(values.file_path, "a path"), "a file with that text, relative to this file"),
    ),
    example='write {name: my.service, content: "…"}, or the name alone',
)
IMAGE = Object(
    (
        Field(
            "runner",
            Choice(("embedded", "baked")),
            "the first-boot program: in each document, or in the image",
            default="embedded",
        ),
        *map(_program, PROGRAMS),
        Field(
            "containerImages",
            ListOf(Text(values.container_image, "an image's reference", is_unambiguous=True)),
            "container images to preload besides the cluster's own, such as those of `manifests`",
            default=(),
        ),
        Field(
            "extraPackages",
            ListOf(Text(values.package_name, "a package's name", is_unambiguous=True)),
            "more packages to install, by the distribution's names",
            default=(),
        ),
        Field(
            "units",
            ListOf(ByShape("a unit's name, or its name and content", Text(values.unit_name), mapping=_UNIT)),
            "systemd units that start at each boot: units of packages by name, your own with their content",
            default=(),
        ),
        Field(
            "packages",
            Object(
                tuple(Field(name, _PACKAGE_VERSION, "its version", default_note="newest") for name in PACKAGES),
                foreign={name: Foreign(f"use `image.{name}.package`", "is pinned elsewhere") for name in PROGRAMS},
                is_plain=True,
            ),
            "versions that the distribution's packages are held at",
        ),
    )
)
