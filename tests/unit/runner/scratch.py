"""A scratch root with a payload in it, and the shipped runner that works below it."""

from __future__ import annotations

import base64
import functools
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests import clusters
from tests.components import debian

from kgen import pipeline
from kgen.facts import preflight_rows
from kgen.firstboot import payload_json
from kgen.firstboot import program as runner_source
from kgen.model import Cluster, Role
from kgen.payload import Payload
from kgen.secrets_bundle.populate import populate

HOST = socket.gethostname().lower()
STATE = "var/lib/kgen/state.json"
STATUS = "run/kgen/status.json"
DONE = "var/lib/kgen/done"
PAYLOAD = "etc/kgen/payload.json"
NOT_HERE = ["cri"]
"""The finding that is no fault of a scratch root: it has no container runtime."""

PYTHONS = [
    pytest.param(None, id="this"),
    pytest.param("bullseye", id="oldest", marks=pytest.mark.real),
    pytest.param("forky", id="newest", marks=pytest.mark.real),
]
"""The suites whose Python runs the runner; None is the one that runs the tests."""


def python_of(suite: str | None) -> list[str | Path]:
    """Return the command line of a suite's Python, for which every warning is an error."""
    return [debian.python(suite), "-I", "-W", "error"] if suite else [sys.executable, "-I", "-S", "-W", "error"]


def payloads(cluster: Cluster) -> Mapping[str, Payload]:
    """Return what each machine of ``cluster`` is told, with a new bundle."""
    made = pipeline.Pipeline(cluster, populate(None, cluster, datetime.now().astimezone()).bundle)
    return {machine.name: made.payload(machine) for machine in cluster.documents}


@functools.cache
def default_payloads() -> Mapping[Role, Payload]:
    """Return the payload of a master, and of a node in its cluster."""
    made = payloads(clusters.with_nodes(1, clusters.one_master()))
    return {"master": made["m1"], "node": made["w1"]}


def body_for_this_host(payload: Payload, **changes: Any) -> dict[str, Any]:
    """Return the body of ``payload`` so that preflight passes here, whoever runs the tests."""
    body = json.loads(payload_json.canonical(payload_json.body(payload)))
    here = {"name": HOST, "addresses": ["127.0.0.1"], "ports": [], "ignorePreflightErrors": NOT_HERE}
    return {**body, **here, **changes}


def body_up_to_the_kubelet(role: Role) -> dict[str, Any]:
    """Return a body with which nothing of a first boot but its beginning can be done here: no endpoint answers."""
    changes = {"server": "https://127.0.0.1:1", "waitFactor": 0.001} if role == "node" else {}
    return body_for_this_host(default_payloads()[role], **changes)


class Scratch:
    """A root directory with what a running machine has, and one delivered payload.

    Every run is checked for secrets in what it prints and reports.
    """

    with_comments = False  # as documents bring the program
    extras = tuple(name for name in runner_source.EXTRAS if name not in ("unseal", "own_values", "stored_token"))

    def __init__(self, root: Path, body: dict[str, Any], python: Sequence[str | Path] = (sys.executable, "-I", "-S")):
        self.root = root
        self.body = body
        self.python = list(map(str, python))
        self.install()
        texts = {path: "".join(map(str, content)) for path, _, _, content in body["files"]}
        for module in texts["/etc/modules-load.d/kgen.conf"].split():
            (root / "sys/module" / module).mkdir(parents=True)
        for line in texts["/etc/sysctl.d/kgen.conf"].splitlines():
            self.put(Path("proc/sys", *line.split(" = ")[0].split(".")), "0")
        self.furnish()
        self.deliver(body)

    def install(self) -> None:
        """Put the runner where documents bring it."""
        self.runner = self.root / "usr/local/lib/kgen/firstboot.py"
        self.put(
            self.runner.relative_to(self.root),
            runner_source.program(self.body["role"], with_comments=self.with_comments, extras=self.extras),
        )

    def furnish(self) -> None:
        """Put there what preflight looks for on a machine that is prepared."""
        self.put("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n")
        self.put("proc/meminfo", "MemTotal:        4028444 kB\nMemFree:         3115104 kB\n")
        self.put("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n")
        options = {
            option for row in preflight_rows.ROWS for needs in row.needs for option in needs.split() if option.isupper()
        }
        config = "".join(f"CONFIG_{option}={'m' if 'XT' in option else 'y'}\n" for option in sorted(options))
        self.put(f"boot/config-{os.uname().release}", config)
        self.put("lib/systemd/system/kubelet.service", "[Service]\nExecStart=/usr/bin/kubelet\n")
        for program in ("kubelet", "losetup", "mount", "cp"):
            self.put(f"usr/bin/{program}", "")
            (self.root / "usr/bin" / program).chmod(0o755)

    def put(self, path: str | Path, text: str) -> None:
        """Write a file below the root."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def deliver(self, body: dict[str, Any]) -> None:
        """Write payload.json."""
        self.put(PAYLOAD, payload_json.text_of(body))

    def command(self, kubelet: str = "false") -> list[str]:
        """Return the command line of the runner; the kubelet cannot be started unless told otherwise."""
        return [*self.python, str(self.runner), "--root", str(self.root), "--kubelet-command", kubelet]

    def run(self, *, kubelet: str = "false", before: Sequence[str] = ()) -> tuple[int, str]:
        """Return exit code and output of one run; ``before`` stands before the runner's path."""
        command = self.command(kubelet)
        position = len(self.python)
        command[position:position] = before
        return self.checked(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))

    def checked(self, done: subprocess.CompletedProcess[str]) -> tuple[int, str]:
        """Return exit code and output; fail when a secret is among what anyone may read."""
        public = done.stdout
        for path in (self.root / STATUS, self.root / STATE, self.root / DONE):
            if path.exists():
                public += path.read_text()
        for secret in secrets(self.body):
            assert secret not in public
        return done.returncode, done.stdout

    def status(self) -> dict[str, Any]:
        """Return status.json."""
        return json.loads((self.root / STATUS).read_text())

    def steps(self) -> list[str]:
        """Return the steps that the state on disk holds for the current body."""
        state = json.loads((self.root / STATE).read_text())
        return list(state[payload_json.checksum(self.body)])

    def tree(self) -> dict[str, tuple[int, bytes]]:
        """Return mode and content of every file that the runner is told to write."""
        found = {}
        for top in ("etc", "var"):
            for path in sorted((self.root / top).rglob("*")):
                name = f"/{path.relative_to(self.root)}"
                if path.is_file() and not name.startswith(("/etc/kgen/", "/var/lib/kgen/")):
                    found[name] = (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        return found


class Baked(Scratch):
    """The same with the program that images have."""

    with_comments = True
    extras = tuple(runner_source.EXTRAS)


def secrets(body: dict[str, Any]) -> set[str]:
    """Return parts of every private key, as hexadecimal and base64, and the bootstrap token's secret."""
    found = set()
    for _name, (label, *blocks) in body["blobs"].items():
        for block in blocks:
            if "PRIVATE" in label:
                found.add(block[80:112])
                found.add(base64.b64encode(bytes.fromhex(block)).decode()[64:96])
    for path, *_, content in body["files"]:
        if path.endswith("bootstrap-kubelet.conf"):
            found.add("".join(map(str, content)).partition("token: ")[2].strip(' "\n')[7:23])
    assert found, "no secret found"
    return found


def snapshot(root: Path) -> dict[str, tuple[int, int, int]]:
    """Return inode, size and time of every file."""
    stats = {str(path): path.lstat() for path in root.rglob("*") if path.is_file()}
    return {path: (found.st_ino, found.st_size, found.st_mtime_ns) for path, found in stats.items()}
