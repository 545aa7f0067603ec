"""Checks of masters only."""

import glob
import os
import re
import subprocess
from collections.abc import Iterator

from .base import Run, read
from .cri import containerd_config, ctr
from .findings import Finding


def size(run: Run, texts: str) -> Iterator[Finding]:
    """On a smaller machine etcd and the API server starve."""
    memory = int(read(run.root + "/proc/meminfo").split()[1]) >> 10
    for name, found, needed in ("NumCPU", len(os.sched_getaffinity(0)), 2), ("Mem", memory, 1700):
        if found < needed:
            yield Finding(name, f"this machine has {found}, a master needs {needed}")


def firewall(run: Run, texts: str) -> Iterator[Finding]:
    """A service that runs has a control group of its name."""
    if glob.glob(run.root + "/sys/fs/cgroup/**/firewalld.service", recursive=True):
        ports = [port for _, port in run.body["ports"]]
        yield Finding("Firewalld", f"firewalld is active: open these ports with firewall-cmd: {ports}", True)


def data_directory(run: Run, texts: str) -> Iterator[Finding]:
    """Data is never deleted. If the finding is ignored, the etcd guard decides."""
    path = run.body["etcd"]["dataDir"]
    if path and not run.replaces and os.path.isdir(run.root + path) and os.listdir(run.root + path):
        yield Finding("DirAvailable-" + path.replace("/", "-"), f"{path} is not empty: mv {path} {path}.old")


def images(run: Run, texts: str) -> Iterator[Finding]:
    """The kubelet pulls an image that is not on the machine. The sandbox image is containerd's own."""
    try:
        there = ctr(run, texts, "--namespace", "k8s.io", "images", "ls", "--quiet").split()
        sandbox = re.findall(r"sandbox(?:_image)? = [\"']([^\"']+)", containerd_config(run))
    except (OSError, subprocess.SubprocessError):
        # The check runtime has said so.
        return
    texts += str(run.body["objects"])
    named = re.findall(r"\bimage\W+([\w./-]+(?::\d+/[\w./-]+)?[:@][\w.@:-]+)(?![\w/])", texts)
    for image in dict.fromkeys(named + sandbox):
        # containerd keeps whole names, and of a name with tag and digest only the digest.
        kept = re.sub(r":[\w.-]+@", "@", image)
        if not {kept, "docker.io/" + kept, "docker.io/library/" + kept}.intersection(there):
            yield Finding("ImagePull", image + " is not on this machine", run.body["pull"])
