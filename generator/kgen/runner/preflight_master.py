"""What is checked on masters only."""

import glob
import os
import re
from typing import Any

from .base import Run, read
from .cri import cri
from .preflight import CHECKS


def size(run: Run, texts: str) -> Any:
    """On less, etcd and the API server starve."""
    memory = int(read(run.root + "/proc/meminfo").split()[1]) >> 10
    for name, found, needed in ("NumCPU", len(os.sched_getaffinity(0)), 2), ("Mem", memory, 1700):
        if found < needed:
            yield name, f"{found}, {needed} are needed"


def firewall(run: Run, texts: str) -> Any:
    """A service that runs has a control group of its name."""
    if glob.glob(run.root + "/sys/fs/cgroup/**/firewalld.service", recursive=True):
        yield "Firewalld", f"is active: open {[port for _, port in run.body['ports']]}", True


def data_directory(run: Run, texts: str) -> Any:
    """Data is never deleted; the etcd guard judges what is let pass."""
    path = run.body["etcd"]["dataDir"]
    if os.path.isdir(run.root + path) and os.listdir(run.root + path):
        yield "DirAvailable-" + path.replace("/", "-"), path + " is not empty: move it away"


def images(run: Run, texts: str) -> Any:
    """What is not there will be pulled, containerd's own sandbox image too (named in its configuration to 1.7)."""
    try:
        texts += str(run.body["objects"]) + str(cri(run, texts, b"RuntimeService/Status", b"\x08\1"))
        for image in dict.fromkeys(
            re.findall(r"\b(?:sandboxI|i)mage\W+([\w./-]+(?::\d+/[\w./-]+)?[:@][\w.@:-]+)(?![\w/])", texts)
        ):
            # Its length is one byte, and so is that of what is around it.
            if len(image) < 120:
                message = b"\n%c\n%c%b" % (len(image) + 2, len(image), image.encode())
                if b"sha256:" not in cri(run, texts, b"ImageService/ImageStatus", message):
                    yield "ImagePull", image + " is not on this machine", run.body["pull"]
    except OSError:
        return


CHECKS += [size, firewall, data_directory, images]
