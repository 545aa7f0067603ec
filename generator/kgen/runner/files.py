"""The machine's files, written as the payload gives them."""

import base64
import os
import re
import subprocess
from typing import Any

from .base import PERSON_MUST_ACT, Run, Stop, write

RESOLVED = "/run/systemd/resolve/resolv.conf"


def armored(label: str, der: str) -> str:
    """Return hexadecimal DER as PEM of this label (RFC 7468)."""
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
    """Return the text of a content of the payload: a list of strings and references to blobs."""
    text = ""
    for piece in content:
        if isinstance(piece, str):
            text += piece
        elif "pem" in piece:
            text += pem(run, piece["pem"])
        else:
            text += b64(pem(run, piece["b64"]))
    return text


def text_of(run: Run, path: str, content: Any) -> str:
    """Return the text of a file. The kubelet's configuration names the resolver of this machine."""
    text = expand(run, content)
    if run.body["resolvConf"] and path.endswith("/config.yaml") and os.path.exists(run.root + RESOLVED):
        text += f"resolvConf: {RESOLVED}\n"
    return text


def put(run: Run, path: str, text: str, mode: int) -> None:
    """Write a file and give it to its owner, who may be one of the user's users."""
    write(run.root + path, text, mode)
    owner = run.body.get("owners", {}).get(path)
    if owner and subprocess.run(["chown", owner, run.root + path]).returncode:
        raise Stop(PERSON_MUST_ACT, f"{path} cannot be given to {owner}", "see getent passwd and getent group")


def stage(run: Run, name: str) -> None:
    """Write the files of one stage."""
    for path, mode, when, content in run.body["files"]:
        if when == name:
            put(run, path, text_of(run, path, content), int(mode, 8))


def files(run: Run) -> None:
    """Write the files that the kubelet finds when it starts."""
    for path, mode in run.body["directories"].items():
        os.makedirs(run.root + path, int(mode, 8), exist_ok=True)
    stage(run, "files")
