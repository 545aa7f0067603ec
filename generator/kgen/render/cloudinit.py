"""Payloads → ``#cloud-config`` documents, compressed once, counted as the provider counts.

Formats and module order: https://docs.cloud-init.io/en/latest/reference/modules.html. ``write_files`` runs before
``runcmd``'s script; cloud-init understands gzip of the whole document, nothing newer.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kgen import names
from kgen.config.model import Cluster, Machine
from kgen.render import engine

# Per-instance semaphores of the modules that deliver; removed at every boot until the runner is done.
_SEMAPHORES = ("config_write_files", "config_runcmd", "config_scripts_user")
REDELIVER = f"test -e {names.DONE_PATH} || (cd /var/lib/cloud/instance/sem && rm -f {' '.join(_SEMAPHORES)})"
LAUNCH = ["/usr/bin/python3", str(names.RUNNER_PATH), "--launch"]
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"  # deflate, no name, mtime 0, best compression, unknown OS


@dataclass(frozen=True, slots=True)
class Document:
    """One user-data document: the text and its gzip (mtime 0)."""

    text: bytes = field(repr=False)
    compressed: bytes = field(repr=False)


class Head:
    """What the documents of one role share, and the compressor's state behind it."""

    def __init__(self, text: str) -> None:
        """Compress ``text`` once; every document continues from there."""
        self.text = text.encode()
        self.crc = zlib.crc32(self.text)
        self._compressor = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
        self._start = self._compressor.compress(self.text)

    def document(self, tail: str) -> Document:
        """Return the document that is this head and ``tail``."""
        end = tail.encode()
        text = self.text + end
        compressor = self._compressor.copy()
        deflated = self._start + compressor.compress(end) + compressor.flush()
        trailer = struct.pack("<LL", zlib.crc32(end, self.crc), len(text) & 0xFFFFFFFF)
        return Document(text, _GZIP_HEADER + deflated + trailer)


def head(cluster: Cluster, runner: str | None, users: Sequence[Mapping[str, Any] | str]) -> Head:
    """Return what all documents of one role begin with.

    ``runner`` is the program's text for that role; None when it is baked into the image. ``users`` are cloud-init's
    entries with password hashes in place.
    """
    text = engine.render(
        "cloud-init/user-data.yaml.j2",
        redeliver=REDELIVER,
        launch=LAUNCH,
        ntp=cluster.ntp,
        users=list(users),
        runner_path=str(names.RUNNER_PATH),
        runner=None if runner is None else engine.Block(runner, 4),
    )
    return Head(text)


def tail(cluster: Cluster, machine: Machine, payload: str) -> str:
    """Return what is the machine's own in its document; pools set no hostname."""
    hostname = machine.name if cluster.set_hostname and not machine.is_pool else ""
    return engine.render(
        "cloud-init/machine.yaml.j2",
        payload_path=str(names.PAYLOAD_PATH),
        payload=engine.Block(payload, 4),
        hostname=hostname,
    )
