"""Bytes of user-data, and what they are spent on."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import yaml

from kgen.facts import names
from kgen.firstboot.payload_json import canonical


def document(path: Path) -> tuple[int, dict[str, int]]:
    """Return the bytes of a document as the cloud gets it, and of each part compressed on its own.

    The parts add up to more than the document: compressed together they share what they have in common.
    """
    raw = path.read_bytes()
    config = yaml.safe_load(gzip.decompress(raw))
    contents = {entry["path"]: entry["content"] for entry in config["write_files"]}
    payload = contents.pop(str(names.PAYLOAD_PATH))
    body = json.loads(payload)["body"]
    runner = contents.pop(str(names.RUNNER_PATH), "")  # none where the image has it
    files = body["files"]
    manifests = [entry for entry in files if entry[0].startswith("/etc/kubernetes/manifests/")]
    others = [entry for entry in files if entry not in manifests]
    rest = {key: value for key, value in body.items() if key not in ("blobs", "files", "objects")}
    parts = {
        "keys and certificates": canonical(body["blobs"]),
        "API objects": canonical(body.get("objects", [])),
        "manifests": canonical(manifests),
        "other files": canonical(others),
        "parameters": canonical(rest),
        "runner": runner,
        "commands and units": "\n".join([*config["bootcmd"], *config["runcmd"], *contents.values()]),
    }
    return len(raw), {name: len(zlib.compress(text.encode(), 9)) for name, text in parts.items()}
