"""Static pods: their containers as plain processes, kept running while the manifest is there."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CONTAINER = Path(__file__).with_name("container.py")
RESTART_SECONDS = 1.0  # the real kubelet's first back-off is 10 s
GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class StaticPod:
    """A manifest and the digest of its text, by which the kubelet tells one version of it from the next."""

    name: str
    digest: str
    manifest: dict[str, Any]


def read(directory: Path) -> dict[str, StaticPod]:
    """Return the static pods of ``directory`` by name; files with a leading dot are not manifests."""
    found = {}
    for path in sorted(directory.glob("[!.]*")) if directory.is_dir() else []:
        try:
            text = path.read_bytes()
        except OSError:  # a temporary file that has just got its name
            continue
        manifest = yaml.safe_load(text)
        name = manifest["metadata"]["name"]
        found[name] = StaticPod(name, hashlib.md5(text, usedforsecurity=False).hexdigest(), manifest)
    return found


class Keeper:
    """Makes what runs equal to what the manifests say, one ``step()`` at a time; knows containers it did not start."""

    def __init__(self, root: Path, manifests: Path, images: Path, state: Path, logs: Path) -> None:
        self.root, self.manifests, self.images, self.state, self.logs = root, manifests, images, state, logs
        self.pods: dict[str, StaticPod] = {}
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._not_before: dict[str, float] = {}
        state.mkdir(parents=True, exist_ok=True)

    def step(self) -> None:
        """Stop what has no manifest any more, start what has one and does not run."""
        wanted = read(self.manifests)
        for record in sorted(self.state.glob("*.json")):
            entry = json.loads(record.read_text())
            pod = wanted.get(record.stem)
            alive = self._alive(entry["pid"])
            if alive and (pod is None or pod.digest != entry["digest"]):
                logging.info("stopping %s", record.stem)
                self._stop(entry["pid"])
                alive = False
            if not alive:
                record.unlink()
        for name, pod in wanted.items():
            if not (self.state / f"{name}.json").exists() and time.monotonic() >= self._not_before.get(name, 0):
                self._not_before[name] = time.monotonic() + RESTART_SECONDS
                self._start(pod)
        self.pods = wanted

    def _start(self, pod: StaticPod) -> None:
        (container,) = pod.manifest["spec"]["containers"]
        image = self.images / container["image"].rsplit("/", 1)[-1]
        if not image.is_dir():
            logging.error("%s: image %s is not on this machine", pod.name, container["image"])
            return
        volumes = {volume["name"]: volume["hostPath"] for volume in pod.manifest["spec"].get("volumes", [])}
        rootfs = self.state / pod.name
        rootfs.mkdir(exist_ok=True)
        specification = {
            "host": str(self.root),
            "rootfs": str(rootfs),
            "image": str(image),
            "command": [*container["command"], *container.get("args", [])],
            "environment": {entry["name"]: entry["value"] for entry in container.get("env", [])},
            "mounts": [
                {
                    "path": mount["mountPath"],
                    "read_only": mount.get("readOnly", False),
                    "host_path": volumes[mount["name"]]["path"],
                    "type": volumes[mount["name"]].get("type", ""),
                }
                for mount in container.get("volumeMounts", [])
            ],
        }
        with (self.logs / f"{pod.name}.log").open("a") as log:
            child = subprocess.Popen(
                ["unshare", "--mount", "--", sys.executable, "-I", str(CONTAINER), json.dumps(specification)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        logging.info("started %s as %d", pod.name, child.pid)
        self._children[child.pid] = child
        record = self.state / f"{pod.name}.json"
        record.with_suffix(".new").write_text(json.dumps({"pid": child.pid, "digest": pod.digest}))
        record.with_suffix(".new").rename(record)

    def _alive(self, pid: int) -> bool:
        child = self._children.get(pid)
        if child is not None:
            if child.poll() is not None:
                logging.info("%d exited with %d", pid, child.returncode)
                del self._children[pid]
                return False
            return True
        with suppress(OSError):
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        return False

    def _stop(self, pid: int) -> None:
        deadline = time.monotonic() + GRACE_SECONDS
        number = signal.SIGTERM
        while self._alive(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            if time.monotonic() > deadline:
                number = signal.SIGKILL
            time.sleep(0.05)
