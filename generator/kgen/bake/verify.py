"""The comparison of a root tree, or of the machine kgen runs on, with its recipe. It only reads, and runs nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2

from kgen.bake.recipe import CONTAINERD_FORMATS, UNITS, Recipe
from kgen.errors import InputError
from kgen.facts import names
from kgen.output.disk import disk_errors

_WANTED = UNITS / "multi-user.target.wants"
_CONTAINERD_UNITS = {
    UNITS / "containerd.service": "waits for cloud-init, and the first boot for it",
    _WANTED / "containerd.service": "does not start at boot",
}
_FIRST_BOOT = tuple(_WANTED / f"{unit}.service" for unit in names.FIRST_BOOT_UNITS)
_CONTENT = PurePosixPath("/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256")
_CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
_SWAP = re.compile(r"^[^#\s]\S*\s+\S+\s+swap\s", re.MULTILINE)
_LEFT_OVER = (
    ("var/lib/cloud/instances/*", "state of cloud-init: the next machine would take itself for the last one"),
    ("etc/ssh/ssh_host_*", "an SSH host key: all machines would have the same"),
    ("root/.bash_history", "a history of a shell"),
    ("root/.ssh/*", "SSH keys of whoever made the image"),
    ("home/*/.ssh/*", "SSH keys of whoever made the image"),
    *(
        (f"etc/{where}/*cloud-init*", "the network of the machine that the image was made on")
        for where in ("systemd/network", "netplan", "network/interfaces.d", "NetworkManager/system-connections")
    ),
    *(
        (pattern, "a file of a cluster's machine")
        for pattern in (
            *("etc/kgen/payload.json", "etc/kgen/proxy.env", "etc/kgen/labels.json", "etc/kgen/routes"),
            "etc/kgen/metadata-fence.nft",
            *(
                "etc/systemd/system/*/kgen-proxy.conf",
                "etc/systemd/system/kgen-routes.*",
                "etc/systemd/system/kgen-labels.*",
                "etc/systemd/system/kgen-metadata-fence.*",
                "etc/systemd/system/*/kgen-metadata-fence.conf",
                "etc/systemd/system/kubelet.service.d/kgen-hostname.conf",
            ),
            *("etc/cni/net.d/10-kgen-*", "usr/local/lib/kgen/firstboot.py"),
        )
    ),
    ("etc/salt", "Salt's configuration"),
    ("var/cache/salt", "Salt's cache"),
    ("srv/salt", "Salt's states"),
    ("var/lib/dhcp/*lease*", "a DHCP lease"),
    ("var/lib/systemd/random-seed", "a random seed: all machines would begin with the same"),
)
_MACHINES_STATE = (names.KUBERNETES_DIR, names.KUBELET_DIR, names.ETCD_DATA_DIR, names.DONE_PATH.parent)
"""Directories that hold a machine's state. A new machine with such files would take itself for the old one."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference from the recipe: its path, and what is wrong there."""

    path: str
    message: str


def differences(root: Path, recipe: Recipe) -> Iterator[Difference]:
    """Yield the differences at ``root``. On the machine kgen runs on, changes of its first boot are not differences.

    Raises:
        InputError: ``root`` holds no operating system.
        KgenError: something there cannot be read.
    """
    if not (root / "etc/os-release").exists():
        raise InputError(
            f"{root} holds no installed system: there is no {root / 'etc/os-release'}", "give a root tree, or /"
        )
    with disk_errors(root):
        yield from _files(root, recipe)
        yield from _containerd(root, recipe)
        yield from _programs(root, recipe)
        yield from _packages(root, recipe)
        yield from _image_json(root, recipe)
        yield from _swap(root)
        is_running_machine = root.resolve() == Path("/") and Path(names.DONE_PATH).exists()
        if not is_running_machine:
            yield from _untouched(root)


def _below(root: Path, path: PurePosixPath) -> Path:
    return root / path.relative_to("/")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(root: Path, recipe: Recipe) -> Iterator[Difference]:
    for file in recipe.files:
        found = _below(root, file.path)
        if not found.is_file():
            yield Difference(str(file.path), "is missing")
        elif found.read_bytes() != file.text.encode():
            yield Difference(str(file.path), "has another content")
        elif stat.S_IMODE(found.stat().st_mode) != file.mode:
            yield Difference(str(file.path), f"has mode {stat.S_IMODE(found.stat().st_mode):04o}, not {file.mode:04o}")
    for unit in _FIRST_BOOT:
        if not os.path.lexists(_below(root, unit)):
            yield Difference(str(unit), "is missing: no machine's first boot would begin by itself")
    for name in recipe.units:
        # `systemctl enable` makes a link in a directory such as multi-user.target.wants, or a link of another name.
        links = (path for path in _below(root, UNITS).rglob("*") if path.is_symlink())
        if not any(name in (path.name, path.readlink().name) for path in links):
            yield Difference(name, "is not enabled")


def _containerd(root: Path, recipe: Recipe) -> Iterator[Difference]:
    path = PurePosixPath("/etc/containerd/config.toml")
    texts = [recipe.means[f"salt/kgen/files/containerd-{format}.toml"] for format in CONTAINERD_FORMATS]
    found = _below(root, path)
    if not found.is_file():
        yield Difference(str(path), "is missing")
    elif found.read_text(encoding="utf-8", errors="replace") not in texts:
        yield Difference(str(path), "has another content")
    for unit, lost in _CONTAINERD_UNITS.items():
        if not os.path.lexists(_below(root, unit)):
            yield Difference(str(unit), f"is missing: containerd {lost}")
    for name in _CNI_PLUGINS:
        plugin = PurePosixPath("/opt/cni/bin", name)
        link = _below(root, plugin)
        if not os.path.lexists(link):
            yield Difference(str(plugin), "is missing")
        elif link.is_symlink() and not _below(root, PurePosixPath("/", link.readlink())).exists():
            yield Difference(str(plugin), f"leads to {link.readlink()}, which is not there")


def _programs(root: Path, recipe: Recipe) -> Iterator[Difference]:
    for name, source in recipe.programs.items():
        path = PurePosixPath("/usr/bin", name)
        found = _below(root, path)
        if not found.is_file():
            yield Difference(str(path), "is missing")
        elif "sha256" in source and _sha256(found) != source["sha256"]:
            yield Difference(str(path), f"has the SHA-256 {_sha256(found)}, not {source['sha256']}")


def _packages(root: Path, recipe: Recipe) -> Iterator[Difference]:
    """Compare what must be installed, and the pinned versions, with what Debian's package manager has on record."""
    status = root / "var/lib/dpkg/status"
    pins = {
        **dict.fromkeys(recipe.extra_packages, "*"),
        **recipe.packages,
        **{name: it["package"] for name, it in recipe.programs.items() if "package" in it},
    }
    if not pins or not status.exists():
        return
    record = status.read_text(encoding="utf-8", errors="replace")
    debian = _debian_names(recipe)
    for name, wanted in pins.items():
        package = debian.get(name, name)
        found = re.search(
            rf"^Package: {re.escape(package)}\nStatus: \S+ ok installed$(?:\n.+)*?\nVersion: (.+)", record, re.MULTILINE
        )
        if found is None:
            yield Difference(f"package {package}", "is not installed")
        elif not fnmatch(found[1], wanted):
            yield Difference(f"package {package}", f"is version {found[1]}, not {wanted}")


def _debian_names(recipe: Recipe) -> Mapping[str, str]:
    """Return Debian's name of each package, from the map that Salt reads."""
    template = jinja2.Environment(autoescape=False).from_string(recipe.means["salt/kgen/map.jinja"])  # noqa: S701 no HTML
    module: Any = template.make_module({"pillar": {"kgen": {}}, "grains": {"os_family": "Debian"}})
    found: Mapping[str, str] = module.family["packages"]
    return found


def _image_json(root: Path, recipe: Recipe) -> Iterator[Difference]:
    path = str(names.IMAGE_PATH)
    try:
        image: dict[str, Any] = json.loads(_below(root, names.IMAGE_PATH).read_text(encoding="utf-8"))
        held: dict[str, str] = image["containerImages"]
        made_by = image["recipe"]
    except FileNotFoundError:
        yield Difference(path, "is missing: the recipe was not applied to its end")
        return
    except (ValueError, KeyError, TypeError):
        yield Difference(path, "is damaged")
        return
    if made_by != recipe.sha256:
        yield Difference(
            path, f"says recipe {made_by[:12]}, not {recipe.sha256[:12]}: made for {image.get('kubernetesVersion')}"
        )
    for name in recipe.container_images:
        digest = held.get(name, "")
        if not digest:
            yield Difference(name, "this container image is not in the image")
        elif not _below(root, _CONTENT / digest.removeprefix("sha256:")).exists():
            yield Difference(name, f"this container image's content {digest} is gone")


def _swap(root: Path) -> Iterator[Difference]:
    fstab = root / "etc/fstab"
    if fstab.exists() and _SWAP.search(fstab.read_text(encoding="utf-8", errors="replace")):
        yield Difference("/etc/fstab", "has swap, beside which a kubelet does not start")
    mask = _below(root, UNITS / "swap.target")
    if not mask.is_symlink() or str(mask.readlink()) != os.devnull:
        yield Difference(str(UNITS / "swap.target"), "is not masked")


def _untouched(root: Path) -> Iterator[Difference]:
    """Yield what an image that no machine has started from should not have."""
    for directory in _MACHINES_STATE:
        if any(path.is_file() or path.is_symlink() for path in _below(root, directory).rglob("*")):
            yield Difference(str(directory), "has files of a cluster's machine: remove the directory from the image")
    if os.path.lexists(_below(root, _WANTED / "kubelet.service")):
        yield Difference(
            str(_WANTED / "kubelet.service"), "is there: the kubelet would start before its configuration is"
        )
    machine_id = root / "etc/machine-id"
    if not machine_id.exists() or machine_id.stat().st_size:
        yield Difference("/etc/machine-id", "is not an empty file: machines would have no identity of their own")
    for pattern, message in _LEFT_OVER:
        yield from (Difference(f"/{found.relative_to(root)}", message) for found in sorted(root.glob(pattern)))
