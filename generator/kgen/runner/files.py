"""The machine's own files, written as the payload gives them."""

import base64
import os
import re
from typing import Any

from .base import Run, write

RESOLVED = "/run/systemd/resolve/resolv.conf"
# Functions of the run: what an image makes beside the payload's files.
MADE: Any = []


def armored(label: str, der: str) -> str:
    """Return what is hexadecimal DER as PEM of this label (RFC 7468)."""
    lines = re.findall(".{1,64}", base64.b64encode(bytes.fromhex(der)).decode())
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def pem(run: Run, name: str) -> str:
    """Return the PEM text of a blob."""
    label, *blocks = run.body["blobs"][name]
    return "".join(armored(label, der) for der in blocks)


def b64(text: str) -> str:
    """Return the base64 of a text, on one line."""
    return base64.b64encode(text.encode()).decode()


def expand(run: Run, content: Any) -> str:
    """Return the text of a content of the payload; a string is its own pieces."""
    text = ""
    for piece in content:
        if isinstance(piece, dict):
            ((kind, name),) = piece.items()
            piece = pem(run, name)
            if kind == "b64":
                piece = b64(piece)
        text += piece
    return text


def stage(run: Run, name: str) -> None:
    """Write the files of one stage."""
    for path, mode, when, content in run.body["files"]:
        if when == name:
            text = expand(run, content)
            if run.body["resolvConf"] and path.endswith("/config.yaml") and os.path.exists(run.root + RESOLVED):
                text += f"resolvConf: {RESOLVED}\n"
            write(run.root + path, text, mode)


def files(run: Run) -> None:
    """Write what the kubelet finds when it starts."""
    for path, mode in run.body["directories"].items():
        os.makedirs(run.root + path, mode, exist_ok=True)
    stage(run, "files")
    for make in MADE:
        make(run)
