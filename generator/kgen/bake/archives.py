"""Archives of container images for a bake without a network: found, copied or saved, listed with their checksums."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from kgen.errors import InputError, KgenError
from kgen.output.disk import disk_errors

MANIFEST = "images.sha256"
"""The file of checksums in the directory of archives, with a line for each, as ``sha256sum --check`` reads it."""

# (program, commands with {image} and {path}); the first one that is installed is used.
_SAVERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("skopeo", ("skopeo copy --quiet docker://{image} docker-archive:{path}:{image}",)),
    ("docker", ("docker pull --quiet {image}", "docker save --output {path} {image}")),
    ("podman", ("podman pull --quiet {image}", "podman save --format docker-archive --output {path} {image}")),
    ("nerdctl", ("nerdctl pull --quiet {image}", "nerdctl save --output {path} {image}")),
    ("ctr", ("ctr --namespace kgen images pull {image}", "ctr --namespace kgen images export {path} {image}")),
)
_PULLERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ctr", ("ctr --namespace k8s.io images pull {image}",)),
    ("crictl", ("crictl pull {image}",)),
    ("docker", ("docker pull --quiet {image}",)),
)

Progress = Callable[[str, str], None]
"""A function that is called with an image and its result: ``kept``, ``copied``, ``saved`` or ``pulled``."""


def file_name(image: str) -> str:
    """Return the name of an image's archive."""
    return re.sub(r"[/:@]", "_", image) + ".tar"


def save(images: Iterable[str], directory: Path, sources: Sequence[Path], on_progress: Progress) -> None:
    """Put an archive of each image into ``directory``: the existing one, one of ``sources``, or a registry's.

    An archive gets its name when it is whole; the manifest is written last.

    Raises:
        InputError: neither an archive nor a program to save one is there.
        KgenError: a program fails, or the disk refuses.
    """
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        found = _index([directory, *sources])
        digests = {}
        for image in images:
            path = directory / file_name(image)
            if found.get(image) == path:
                on_progress(image, "kept")
            else:
                partial = path.with_suffix(".partial")
                partial.unlink(missing_ok=True)
                try:
                    if image in found:
                        shutil.copyfile(found[image], partial)
                    else:
                        _run(_SAVERS, image, partial, "save")
                    partial.replace(path)
                finally:
                    partial.unlink(missing_ok=True)
                on_progress(image, "copied" if image in found else "saved")
            with path.open("rb") as file:
                digests[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
        (directory / (MANIFEST + ".partial")).write_text(lines, encoding="utf-8")
        (directory / (MANIFEST + ".partial")).replace(directory / MANIFEST)


def pull(images: Iterable[str], on_progress: Progress) -> None:
    """Pull each image into this machine's container runtime.

    Raises:
        InputError: there is no program to pull with.
        KgenError: the program fails.
    """
    for image in images:
        _run(_PULLERS, image, Path(os.devnull), "pull")
        on_progress(image, "pulled")


def _index(directories: Iterable[Path]) -> Mapping[str, Path]:
    """Return which archive holds which image, by the names in the archives' own manifests."""
    found: dict[str, Path] = {}
    for directory in directories:
        for path in sorted(directory.glob("*.tar")):
            for name in _names(path):
                found.setdefault(name, path)
    return found


def _names(path: Path) -> list[str]:
    try:
        with tarfile.open(path) as archive:
            member = archive.extractfile("manifest.json")
            entries = json.load(member) if member else []
        return [name for entry in entries for name in entry.get("RepoTags") or []]
    except (tarfile.TarError, KeyError, ValueError, AttributeError):
        return []  # no archive of images


def _run(table: Sequence[tuple[str, tuple[str, ...]]], image: str, path: Path, verb: str) -> None:
    program, commands = next(((name, lines) for name, lines in table if shutil.which(name)), ("", ()))
    if not program:
        names = ", ".join(name for name, _ in table)
        hint = "give directories with archives by --archives" if verb == "save" else "run it on a machine that has one"
        raise InputError(f"{image}: nothing here can {verb} it: none of {names} is installed", hint)
    for command in commands:
        words = [word.format(image=image, path=path) for word in command.split()]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
            hint = "look at the registry and the network"
            if re.search(r"daemon|containerd\.sock|connect to Podman", lines[-1]):
                hint = f"start the service that {program} talks to, and check that you may use it"
            raise KgenError(f"{image} cannot be {verb}d: {program}: {lines[-1]}", hint)
