"""The container runtime: its socket, and what containerd's own commands say. One process for each question."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

from .base import Run
from .findings import Finding


def cri_socket(texts: str) -> Any:
    """Return the path of the socket that the kubelet will use, from its configuration or its arguments."""
    return re.findall(r"untime-?[eE]ndpoint\W+unix://([\w./-]+)", texts)[0]


def ask_command(*words: str) -> str:
    """Return what a command prints; an OSError says why it failed."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise OSError(f"{words[0]}: {done.stderr.strip()[-200:]}")
    return done.stdout


def ctr(run: Run, texts: str, *words: str) -> str:
    """Return what containerd's client prints."""
    return ask_command("ctr", "--address", run.root + cri_socket(texts), *words)


def containerd_config(run: Run) -> str:
    """Return containerd's whole configuration: what its file says, and the defaults."""
    path = run.root + "/etc/containerd/config.toml"
    return ask_command("containerd", *(["--config", path] if os.path.exists(path) else []), "config", "dump")


def runtime(run: Run, texts: str) -> Iterator[Finding]:
    """The kubelet can do nothing without a container runtime."""
    path = cri_socket(texts)
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(9)
            link.connect(run.root + path)
    except OSError as error:
        yield Finding("CRI", f"{path}: {error}: does the container runtime run?", may_pass=True)
        return
    try:
        version = ctr(run, texts, "version")
        config = containerd_config(run)
    except (OSError, subprocess.SubprocessError) as error:
        # Only containerd has these commands.
        yield Finding("CRI", f"{error}: is the container runtime containerd?", True)
        return
    if re.search(r"disabled_plugins = \[[^]]*\bcri\b", config):
        yield Finding("CRI", "the plugin cri is off: remove it from disabled_plugins in /etc/containerd/config.toml")
    # containerd 1 does not tell the kubelet its driver of control groups.
    if re.search(r"Server:\s+Version:\s+v?[01]\.", version):
        if run.body["runtimeConfig"]:
            yield Finding("ContainerRuntimeVersion", "containerd 2 is needed from v1.38 on", True)
        if re.search("SystemdCgroup = false", config) and "cgroupDriver: systemd" in texts:
            yield Finding("CRI", "SystemdCgroup is false in /etc/containerd/config.toml: set it to true", True)
