"""Disk images of real machines: Debian, and what kgen's own recipe puts into it. Needs root."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kgen import api

from . import cache, containers, debian, golang


@dataclass(frozen=True)
class Generation:
    """A Debian suite and the Kubernetes release whose machines it carries; tags as kubeadm of that release has them."""

    suite: str
    kubernetes: str
    etcd: str
    coredns: str
    pause: str


FORKY = Generation("forky", "1.37.2", etcd="3.7.0-0", coredns="1.14.6", pause="3.10.2")
TRIXIE = Generation("trixie", "1.34.4", etcd="3.6.5-0", coredns="1.12.1", pause="3.10.1")
BOOKWORM = Generation("bookworm", "1.33.13", etcd="3.5.24-0", coredns="1.12.0", pause="3.10")
GENERATIONS = {generation.suite: generation for generation in (FORKY, TRIXIE, BOOKWORM)}

DISK, KERNEL, INITRD = "disk.img", "vmlinuz", "initrd.img"
PLAIN_DISK = "plain.qcow2"
# What documents that bring the runner do not find on machines whose image is somebody else's.
_FIRST_BOOT = (
    "usr/local/lib/kgen",
    "etc/systemd/system/containerd.service",
    "usr/lib/systemd/system/kgen-*",
    "etc/systemd/system/*.wants/kgen-*",
)
_DISK_SIZE = "8G"
_LABEL = "root"
_PACKAGES = (
    "systemd-sysv",
    "systemd-resolved",
    "systemd-timesyncd",
    "cloud-init",
    "containerd",
    "runc",
    "containernetworking-plugins",
    "linux-image-cloud-amd64",
    "ca-certificates",
    "conntrack",
    "curl",
    "dbus",
    "e2fsprogs",
    "ethtool",
    "iproute2",
    "iptables",
    "kmod",
    "mount",
    "netbase",
    "nftables",
    "procps",
    "qemu-guest-agent",
    "python3",
    "socat",
    "udev",
    "util-linux",
)
# The kernel draws a random number at its first look at an entry of conntrack's table, and patches itself to never do it
# again. When kube-proxy is the one to look, at two entries, QEMU sometimes runs into the half-patched place: a panic.
# This comes while cloud-init waits for the network, and takes nothing from what is measured.
_SETTLE = """\
[Unit]
Description=One look at one entry of the conntrack table, before anybody looks at two
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target
After=local-fs.target network-pre.target

[Service]
Type=oneshot
ExecStart=-/usr/sbin/conntrack -I --src 192.0.2.1 --dst 192.0.2.2 --proto udp --sport 1 --dport 2 --timeout 5
ExecStart=-/usr/sbin/conntrack -L

[Install]
WantedBy=multi-user.target
"""
# Who looks into a machine shall not start beside what is looked at, but before cloud-init's network stage is over.
_AGENT = """\
[Unit]
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target
"""
_FILES = {
    "etc/fstab": f"LABEL={_LABEL} / ext4 defaults 0 1\n",
    "etc/hostname": "localhost\n",
    "etc/systemd/system/qemu-guest-agent.service.d/early.conf": _AGENT,
    "usr/lib/systemd/system/settle-conntrack.service": _SETTLE,
}
# Without an SSH server and locales cloud-init would complain of what it cannot make.
_CLOUD_CONFIG = "etc/cloud/cloud.cfg.d/90-image.cfg"
_NO_SSH = "ssh_genkeytypes: []\nlocale: false\n"
_SSH = ("openssh-client", "openssh-server", "sudo")
_ENABLED = ("settle-conntrack", "systemd-networkd", "systemd-resolved")
# A getty hangs the serial line up under whoever writes to it; the others would compete with what is tested.
_MASKED = (
    "serial-getty@ttyS0.service",
    "getty@tty1.service",
    "dpkg-db-backup.timer",
    "e2scrub_reap.service",
    "e2scrub_all.timer",
    "fstrim.timer",
)
_CLUSTER = """\
apiVersion: kgen/v1
name: image
kubernetesVersion: v{version}
provider: nocloud
image:
  runner: baked
  containerImages: [{tools}]
  kubelet: {{file: kubelet, sha256: {kubelet}}}
  kubectl: {{file: kubectl, sha256: {kubectl}}}
machines: [{{name: m1, role: master, address: 10.0.0.1}}]
"""


@functools.cache
def machine_image(generation: Generation) -> Path:
    """Return a directory with ``disk.img`` (raw, sparse, one ext4 file system) and ``vmlinuz``.

    kgen's own recipe makes it (``kgen bake``) from an installed Debian. The disk is never booted itself: machines get
    an overlay of it, or of ``plain.qcow2``, which is the same without the first-boot programs and their units.
    """
    if os.geteuid():
        raise RuntimeError("making a machine's disk needs root: owners of files, chroot, mounts")
    archives = containers.archives(generation.kubernetes, generation.etcd, generation.coredns, generation.pause)
    with tempfile.TemporaryDirectory() as scratch:
        baked = recipe(generation, Path(scratch))
        own = Path(__file__).read_text(encoding="utf-8")
        key = cache.recipe_hash(repr(generation), archives.name, baked.recipe.sha256, own)
        made = cache.ensure(
            f"machine-{generation.suite}",
            key,
            lambda directory: _build(generation, baked.root / "bake", archives, directory),
        )
        cache.keep_newest(f"machine-{generation.suite}", 3)
        return made


def recipe(generation: Generation, directory: Path) -> api.BakeResult:
    """Write the recipe for a generation's image below ``directory``, with its cluster file."""
    commands = golang.kubernetes(generation.kubernetes)
    digests = {}
    for name in ("kubelet", "kubectl"):
        with (commands / name).open("rb") as program:
            digests[name] = hashlib.file_digest(program, "sha256").hexdigest()
    cluster = directory / "cluster.yaml"
    text = _CLUSTER.format(version=generation.kubernetes, tools=containers.TOOLS_IMAGE, **digests)
    cluster.write_text(text, encoding="utf-8")
    return api.bake(cluster, directory)


def apply(bake: Path, root: Path, archives: Path, files: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Apply a recipe to a tree as its README says; Salt comes from the package index once for each Python."""
    command = [bake / "apply", "--archives", archives, "--files", files, *options, root]
    environment = {**os.environ, "PYTHON": sys.executable, "XDG_CACHE_HOME": str(cache.cache_root())}
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)


def _build(generation: Generation, bake: Path, archives: Path, directory: Path) -> None:
    root = directory / "root"
    _set_up(base(generation.suite), root, _NO_SSH)
    commands = golang.kubernetes(generation.kubernetes)
    shutil.copy(commands / "kubeadm", root / "usr/bin/kubeadm")  # for the stock join; machines of kgen need none
    done = apply(bake, root, archives, commands)
    if done.returncode:
        raise RuntimeError(f"the recipe cannot be applied to {generation.suite}:\n{done.stdout}{done.stderr}")
    _make_disk(root, directory)
    _make_plain_disk(directory)


def cloud_image(suite: str) -> Path:
    """Return a directory as ``machine_image`` does, of a Debian as clouds offer it: an SSH server, nothing of kgen.

    ``initrd.img`` is in it, too, for machines whose disk the kernel itself has no driver for.
    """
    recipe = cache.recipe_hash(suite, Path(__file__).read_text(encoding="utf-8"))

    def build(directory: Path) -> None:
        _set_up(base(suite, _SSH), directory / "root", "locale: false\n")
        shutil.move(_newest(directory / "root/boot", INITRD), directory / INITRD)
        _make_disk(directory / "root", directory)

    made = cache.ensure(f"cloud-image-{suite}", recipe, build)
    cache.keep_newest(f"cloud-image-{suite}", 3)
    return made


@contextmanager
def mounted(disk: Path, root: Path) -> Iterator[Path]:
    """Mount the one file system of the raw ``disk`` at ``root``, which is made."""
    root.mkdir()
    cache.run(["mount", "-o", "loop", disk, root])
    try:
        yield root
    finally:
        cache.run(["umount", root])


def _set_up(tree: Path, root: Path, cloud_config: str) -> None:
    """Copy ``tree`` to ``root`` and make it one of a machine."""
    cache.run(["cp", "--archive", "--reflink=auto", tree, root])
    for path, text in {**_FILES, _CLOUD_CONFIG: cloud_config}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    cache.run(["chroot", root, "systemctl", "enable", *_ENABLED])
    cache.run(["chroot", root, "systemctl", "mask", *_MASKED])


def _make_disk(root: Path, directory: Path) -> None:
    """Turn the tree ``root`` into disk and kernel in ``directory``."""
    shutil.move(_newest(root / "boot", KERNEL), directory / KERNEL)
    cache.run(["mke2fs", "-q", "-t", "ext4", "-L", _LABEL, "-d", root, directory / DISK, _DISK_SIZE])
    shutil.rmtree(root)


def _make_plain_disk(directory: Path) -> None:
    """Write what is different on a disk without the first-boot programs."""
    changed, plain = directory / "changed.img", directory / PLAIN_DISK
    cache.run(["cp", "--sparse=always", directory / DISK, changed])
    with mounted(changed, directory / "mounted") as root:
        found = [path for pattern in _FIRST_BOOT for path in root.glob(pattern)]
        cache.run(["rm", "-r", *found])
    (directory / "mounted").rmdir()
    cache.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", changed, plain])
    cache.run(["qemu-img", "rebase", "-F", "raw", "-b", DISK, plain])
    changed.unlink()


def _newest(boot: Path, name: str) -> Path:
    return sorted(boot.glob(f"{name}-*"))[-1]


def base(suite: str, more: Sequence[str] = ()) -> Path:
    """Return the tree of an installed Debian of ``suite``, nothing set up: what a machine needs, and ``more``."""
    packages = (*_PACKAGES, *more)
    recipe = cache.recipe_hash(suite, *packages)
    return cache.ensure(f"base-{suite}", recipe, lambda directory: _bootstrap(suite, packages, directory))


def _bootstrap(suite: str, packages: Sequence[str], directory: Path) -> None:
    tree = directory / "tree"
    for mirror in debian.mirrors():
        command = [
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(packages)}",
            '--aptopt=Acquire::Check-Valid-Until "false"',  # testing's index may be past its date
            *(f"--aptopt={option}" for option in debian.network_options()),
            suite,
            tree,
            f"deb [trusted=yes] {mirror} {suite} main",
        ]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode == 0:
            for path in tree.iterdir():
                path.rename(directory / path.name)
            tree.rmdir()
            return
        cache.say(f"no {suite} from a mirror: {done.stderr[-2000:]}")
        shutil.rmtree(tree, ignore_errors=True)
    raise RuntimeError(f"none of the host's Debian mirrors gives a tree of {suite}")
