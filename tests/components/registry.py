"""A container registry, Debian's, and Debian's skopeo, which fills it."""

from __future__ import annotations

import json
import subprocess
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import yaml

from . import cache, containers, debian

PORT = 5000


def command(tree: Path, program: str) -> list[str]:
    """Return the words that start ``program`` of a tree of packages with the tree's own loader and libraries."""
    loader = next((tree / "usr/lib").glob("*/ld-linux*.so.*"))
    return [str(loader), "--library-path", str(loader.parent), str(tree / program)]


def references(archives: Path) -> list[tuple[Path, str]]:
    """Return each archive of an image of Kubernetes' registry, with its path there (``coredns/coredns:v1.14.6``)."""
    found = []
    for path in sorted(archives.glob("*.tar")):
        with tarfile.open(path) as archive:
            member = archive.extractfile("manifest.json")
            assert member
            (name,) = json.load(member)[0]["RepoTags"]
        if name.startswith(f"{containers.REGISTRY}/"):
            found.append((path, name.removeprefix(f"{containers.REGISTRY}/")))
    return found


def skopeo() -> list[str]:
    """Return the words that start skopeo, with the policy that its package installs."""
    tree = debian.root("skopeo", "bookworm", ["skopeo", "golang-github-containers-common"])
    policy = tree / "etc/containers/policy.json"
    return [*command(tree, "usr/bin/skopeo"), "--policy", str(policy)]


class Registry:
    """A registry at ``address``, with its data in ``directory``, for as long as it is entered.

    ``within`` stands before each command line, such as the one that enters a network namespace; with ``certificate``
    and its key (files) it speaks TLS, else plain HTTP.
    """

    def __init__(
        self,
        directory: Path,
        address: str,
        *,
        within: Sequence[str] = (),
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        """Write its configuration."""
        self.name = f"{address}:{PORT}"
        self._within = list(within)
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        http: dict[str, object] = {"addr": self.name}
        if certificate:
            http["tls"] = {"certificate": str(certificate[0]), "key": str(certificate[1])}
        storage = {"filesystem": {"rootdirectory": str(directory / "data")}}
        text = yaml.safe_dump({"version": 0.1, "storage": storage, "http": http})
        (directory / "config.yml").write_text(text, encoding="utf-8")

    def __enter__(self) -> Registry:
        """Start it and wait until it listens."""
        program = command(debian.root("registry", "bookworm", ["docker-registry"]), "usr/bin/docker-registry")
        log = self._directory / "log"
        with log.open("wb") as file:
            words = [*self._within, *program, "serve", str(self._directory / "config.yml")]
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        deadline = time.monotonic() + 30
        while "listening on" not in log.read_text(encoding="utf-8"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the registry does not start: {log.read_text(encoding='utf-8')[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self._process.kill()
        self._process.wait()

    def push(self, archive: Path, path: str) -> None:
        """Put the image of an archive there, as ``path`` (``pause:3.10``)."""
        source, target = f"docker-archive:{archive}", f"docker://{self.name}/{path}"
        cache.run([*self._within, *skopeo(), "copy", "--quiet", "--dest-tls-verify=false", source, target])
