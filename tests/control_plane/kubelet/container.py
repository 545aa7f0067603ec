"""One container: run as ``unshare --mount -- python container.py JSON``; becomes the container's own process.

Its root holds the image's files, the volumes the manifest mounts, and what every container has; nothing else of the
machine. So a file that a command line names and no volume brings is missing here as it would be on a node.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_RELATIME = 0x1, 0x20, 0x1000, 0x4000, 0x200000
KEPT_FLAGS = 0x2 | 0x4 | 0x8 | 0x400 | 0x800  # nosuid, nodev, noexec, noatime, nodiratime: the same bits in statvfs
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEVICES = ("null", "zero", "full", "random", "urandom")
_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: Path, kind: str | None, flags: int) -> None:
    if _libc.mount(source.encode(), str(target).encode(), kind.encode() if kind else None, flags, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"{source} on {target}")


def bind(source: Path, target: Path, *, read_only: bool) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    mount(str(source), target, None, MS_BIND | MS_REC)
    if read_only:  # a mount's other restrictions cannot be dropped inside a user namespace, so they are repeated
        kept = os.statvfs(target).f_flag & KEPT_FLAGS
        mount("none", target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_RELATIME | kept)


def prepare(path: Path, kind: str) -> None:
    """Make or check the host path as its hostPath type says."""
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch()
    elif (kind == "File" and not path.is_file()) or (kind == "Directory" and not path.is_dir()) or not path.exists():
        raise FileNotFoundError(f"hostPath {path} is not there as {kind or 'anything'}")


def main() -> None:
    specification = json.loads(sys.argv[1])
    host, rootfs, image = (Path(specification[key]) for key in ("host", "rootfs", "image"))
    mount("tmpfs", rootfs, "tmpfs", 0)
    for program in image.rglob("*"):
        if program.is_file():
            bind(program, rootfs / program.relative_to(image), read_only=True)
    for name in DEVICES:
        bind(Path("/dev", name), rootfs / "dev" / name, read_only=False)
    for directory in ("proc", "tmp"):
        (rootfs / directory).mkdir()
    mount("proc", rootfs / "proc", "proc", 0)
    if (host / "etc/hosts").is_file():  # the kubelet gives pods on the host's network the host's /etc/hosts
        bind(host / "etc/hosts", rootfs / "etc/hosts", read_only=True)
    for volume in sorted(specification["mounts"], key=lambda each: str(each["path"])):
        source = host / volume["host_path"].lstrip("/")
        prepare(source, volume["type"])
        bind(source, rootfs / volume["path"].lstrip("/"), read_only=volume["read_only"])
    os.chroot(rootfs)
    os.chdir("/")
    environment = {"PATH": PATH, **specification["environment"]}
    os.environ["PATH"] = PATH
    os.execvpe(specification["command"][0], specification["command"], environment)


main()
