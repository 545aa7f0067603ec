"""The machine's own files, written as the payload gives them."""

import base64
import os
import re
from typing import Any

from .base import Run, write

RESOLVED = "/run/systemd/resolve/resolv.conf"


def pem(run: Run, name: str) -> str:
    """Return the PEM text of a blob."""
    label, *blocks = run.body["blobs"][name]
    text = ""
    for block in blocks:
        lines = re.findall(".{1,64}", base64.b64encode(bytes.fromhex(block)).decode())
        text += "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
    return text


def expand(run: Run, content: Any) -> str:
    """Return the text of a content of the payload."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(expand(run, piece) for piece in content)
    if "pem" in content:
        return pem(run, content["pem"])
    return base64.b64encode(pem(run, content["b64"]).encode()).decode()


def stage(run: Run, name: str) -> None:
    """Write every file of one stage; the first stage makes the directories before."""
    if name == "files":
        for path, mode in sorted(run.body["directories"].items()):
            os.makedirs(run.root + path, mode, exist_ok=True)
    for path, mode, when, content in run.body["files"]:
        if when == name:
            text = expand(run, content)
            if (
                path == "/var/lib/kubelet/config.yaml"
                and run.body["resolvConf"]
                and os.path.exists(run.root + RESOLVED)
            ):
                text += f"resolvConf: {RESOLVED}\n"
            write(run.root + path, text, mode)


def write_files(run: Run) -> None:
    """Write what the kubelet finds when it starts."""
    stage(run, "files")
