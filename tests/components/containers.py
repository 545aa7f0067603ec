"""Container images of the test components, as docker-archive files: what a registry would serve, made here."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from . import cache, debian, golang

REGISTRY = "registry.k8s.io"
TOOLS_IMAGE = "kgen.test/tools:1"
"""A pod's image with a shell, ``nslookup`` and ``wget``: for questions asked from inside the cluster."""

_IPTABLES = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")


def archives(kubernetes: str, etcd: str, coredns: str, pause: str) -> Path:
    """Return a directory with one archive an image that a cluster of these versions runs, named as kubeadm names it.

    ``etcd``: the image's tag with its revision (``3.7.0-0``); ``coredns`` without ``v``; all others plain versions.
    """
    recipe = cache.recipe_hash(kubernetes, etcd, coredns, pause, Path(__file__).read_text(encoding="utf-8"))
    return cache.ensure(
        f"images-{kubernetes}", recipe, lambda directory: _archives(directory, kubernetes, etcd, coredns, pause)
    )


def _archives(directory: Path, kubernetes: str, etcd: str, coredns: str, pause: str) -> None:
    binaries = golang.kubernetes(kubernetes)
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        image = f"{REGISTRY}/{name}:v{kubernetes}"
        _image(directory, image, {f"/usr/local/bin/{name}": binaries / name}, [f"/usr/local/bin/{name}"])
    database = golang.etcd(etcd.partition("-")[0], ("etcd",))
    _image(directory, f"{REGISTRY}/etcd:{etcd}", {"/usr/local/bin/etcd": database / "etcd"}, ["/usr/local/bin/etcd"])
    image = f"{REGISTRY}/coredns/coredns:v{coredns}"
    _image(directory, image, {"/coredns": golang.coredns(coredns) / "coredns"}, ["/coredns"])
    _image(directory, f"{REGISTRY}/pause:{pause}", {"/pause": golang.pause() / "pause"}, ["/pause"])
    tools = debian.root("tools", "bookworm", ["busybox-static"])
    links = {f"/bin/{name}": "busybox" for name in ("sh", "nslookup", "wget", "sleep", "cat", "ip", "ping")}
    _image(directory, TOOLS_IMAGE, {"/bin/busybox": _program(tools, "busybox"), **links}, ["/bin/sh"])
    _proxy_image(directory, kubernetes, binaries / "kube-proxy")


def _program(tree: Path, name: str) -> Path:
    return next(path for path in (tree / "usr/bin" / name, tree / "usr/sbin" / name) if path.exists())


def _proxy_image(directory: Path, kubernetes: str, program: Path) -> None:
    """kube-proxy calls iptables, nft and conntrack, which need libraries."""
    tree = debian.root("kube-proxy", "bookworm", ["iptables", "nftables", "conntrack", "kmod"])
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        root = Path(scratch, "root")
        cache.run(["cp", "--archive", "--reflink=auto", tree, root])
        for name in _IPTABLES:
            link = root / "usr/sbin" / name
            link.unlink(missing_ok=True)
            link.symlink_to("xtables-nft-multi")
        (root / "usr/local/bin").mkdir(parents=True)
        shutil.copy(program, root / "usr/local/bin/kube-proxy")
        _image(directory, f"{REGISTRY}/kube-proxy:v{kubernetes}", {"/": root}, ["/usr/local/bin/kube-proxy"])


def _image(directory: Path, name: str, content: Mapping[str, Path | str], entrypoint: list[str]) -> None:
    """Write the archive of image ``name``: ``content`` are files, trees, and the targets of links (strings)."""
    with tempfile.NamedTemporaryFile(dir=directory) as layer:
        with tarfile.open(fileobj=layer, mode="w") as archive:
            for path, source in content.items():
                if isinstance(source, str):
                    link = tarfile.TarInfo(path.lstrip("/"))
                    link.type, link.linkname = tarfile.SYMTYPE, source
                    archive.addfile(link)
                else:
                    archive.add(source, path.lstrip("/") or ".", filter=_as_root)
        layer.seek(0)
        digest = hashlib.file_digest(layer, "sha256").hexdigest()
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Entrypoint": entrypoint,
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/bin"],
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
        manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
        with tarfile.open(directory / (name.replace("/", "_").replace(":", "_") + ".tar"), "w") as archive:
            for member, value in (("manifest.json", manifest), ("config.json", config)):
                data = json.dumps(value).encode()
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            archive.add(layer.name, "layer.tar", filter=_as_root)


def _as_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    if info.isfile():
        info.mode |= 0o444
    return info
