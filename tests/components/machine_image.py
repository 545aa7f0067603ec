"""Disk images of real machines: Debian, cloud-init, containerd, the kubelet and a cluster's container images.

Everything a machine needs from its image and nothing of any cluster: what a user bakes. Needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import cache, containers, debian, golang


@dataclass(frozen=True)
class Generation:
    """A Debian suite and the Kubernetes release whose machines it carries; tags as kubeadm of that release has them."""

    suite: str
    kubernetes: str
    etcd: str
    coredns: str
    pause: str
    containerd_config: int


FORKY = Generation("forky", "1.37.2", etcd="3.7.0-0", coredns="1.14.6", pause="3.10.2", containerd_config=3)
TRIXIE = Generation("trixie", "1.34.4", etcd="3.6.5-0", coredns="1.12.1", pause="3.10.1", containerd_config=2)
BOOKWORM = Generation("bookworm", "1.33.13", etcd="3.5.24-0", coredns="1.12.0", pause="3.10", containerd_config=2)
GENERATIONS = {generation.suite: generation for generation in (FORKY, TRIXIE, BOOKWORM)}

DISK, KERNEL, INITRD = "disk.img", "vmlinuz", "initrd.img"
_DISK_SIZE = "8G"
_PACKAGES = (
    "systemd-sysv",
    "systemd-resolved",
    "cloud-init",
    "containerd",
    "runc",
    "containernetworking-plugins",
    "linux-image-cloud-amd64",
    "ca-certificates",
    "conntrack",
    "curl",
    "dbus",
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
_KUBELET_UNIT = """\
[Unit]
Description=kubelet: The Kubernetes Node Agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
"""
_KUBELET_DROP_IN = """\
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
--kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""
_CONTAINERD = {
    2: """\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
""",
    3: """\
version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{pause}'
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['/usr/lib/cni']
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    SystemdCgroup = true
""",
}
# The kernel draws a random number at its first look at an entry of conntrack's table, and patches itself to never do it
# again. When kube-proxy is the one to look, at two entries, QEMU sometimes runs into the half-patched place: a panic.
_SETTLE = """\
[Unit]
Description=One look at one entry of the conntrack table, before anybody looks at two

[Service]
Type=oneshot
ExecStart=-/usr/sbin/conntrack -I --src 192.0.2.1 --dst 192.0.2.2 --proto udp --sport 1 --dport 2 --timeout 5
ExecStart=-/usr/sbin/conntrack -L

[Install]
WantedBy=multi-user.target
"""
_FILES = {
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/machine-id": "",
    "etc/hostname": "localhost\n",
    # No SSH server and no locales are there, and cloud-init would complain of what it cannot make.
    "etc/cloud/cloud.cfg.d/90-image.cfg": "datasource_list: [NoCloud, None]\nssh_genkeytypes: []\nlocale: false\n",
    "etc/modules-load.d/kubernetes.conf": "overlay\nbr_netfilter\n",
    "etc/sysctl.d/90-kubernetes.conf": "net.ipv4.ip_forward = 1\nnet.bridge.bridge-nf-call-iptables = 1\n",
    "usr/lib/systemd/system/kubelet.service": _KUBELET_UNIT,
    "usr/lib/systemd/system/settle-conntrack.service": _SETTLE,
    "usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf": _KUBELET_DROP_IN,
}
_ENABLED = ("containerd", "settle-conntrack", "systemd-networkd", "systemd-resolved")
# A getty hangs the serial line up under whoever writes to it; the timers would compete with what is tested.
_MASKED = (
    "serial-getty@ttyS0.service",
    "getty@tty1.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
)
# The guest's own containerd fills its own store: nothing is imported inside the emulated machine.
_PRELOAD = """\
set -e
mount --bind "$1" "$1" && cd "$1"
mount -t proc proc proc && mount -t sysfs sysfs sys && mount --rbind /dev dev && mount -t tmpfs tmpfs run
mount --bind "$2" mnt
chroot . /usr/bin/containerd >run/containerd.log 2>&1 &
daemon=$!
for _ in $(seq 100); do chroot . ctr version >/dev/null 2>&1 && break; sleep 0.1; done
local=$(chroot . ctr images import --help | grep -o -m 1 -e --local || true)
for archive in mnt/*.tar; do
  chroot . ctr -n k8s.io images import $local "/$archive" >/dev/null || { cat run/containerd.log >&2; exit 1; }
done
kill $daemon && wait $daemon || true
"""


def machine_image(generation: Generation) -> Path:
    """Return a directory with ``disk.img`` (raw, sparse, one ext4 file system), ``vmlinuz`` and ``initrd.img``.

    The disk is never booted itself: machines get an overlay of it.
    """
    if os.geteuid():
        raise RuntimeError("making a machine's disk needs root: owners of files, chroot, mounts")
    archives = containers.archives(generation.kubernetes, generation.etcd, generation.coredns, generation.pause)
    recipe = cache.recipe_hash(repr(generation), archives.name, Path(__file__).read_text(encoding="utf-8"))
    return cache.ensure(
        f"machine-{generation.suite}", recipe, lambda directory: _build(generation, archives, directory)
    )


def _build(generation: Generation, archives: Path, directory: Path) -> None:
    root = directory / "root"
    cache.run(["cp", "--archive", "--reflink=auto", base(generation.suite), root])
    commands = golang.kubernetes(generation.kubernetes)
    for name in ("kubelet", "kubeadm", "kubectl"):
        shutil.copy(commands / name, root / "usr/bin" / name)
    pause = f"{containers.REGISTRY}/pause:{generation.pause}"
    config = _CONTAINERD[generation.containerd_config].format(pause=pause)
    for path, text in {**_FILES, "etc/containerd/config.toml": config}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    (root / "etc/kubernetes/manifests").mkdir(parents=True)
    cache.run(["chroot", root, "systemctl", "enable", *_ENABLED])
    cache.run(["chroot", root, "systemctl", "mask", *_MASKED])
    cache.run(["unshare", "--mount", "sh", "-c", _PRELOAD, "sh", root, archives])
    for name in (KERNEL, INITRD):
        shutil.move(_newest(root / "boot", name), directory / name)
    disk = directory / DISK
    cache.run(["mke2fs", "-q", "-t", "ext4", "-d", root, disk, _DISK_SIZE])
    shutil.rmtree(root)


def _newest(boot: Path, name: str) -> Path:
    return sorted(boot.glob(f"{name}-*"))[-1]


def base(suite: str) -> Path:
    """Return the tree of an installed Debian of ``suite`` with the packages a machine needs, nothing set up."""
    recipe = cache.recipe_hash(suite, *_PACKAGES)
    return cache.ensure(f"base-{suite}", recipe, lambda directory: _bootstrap(suite, directory))


def _bootstrap(suite: str, directory: Path) -> None:
    tree = directory / "tree"
    for mirror in debian.mirrors():
        command = [
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(_PACKAGES)}",
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
