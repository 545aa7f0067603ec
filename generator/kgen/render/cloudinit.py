"""Payloads → ``#cloud-config`` documents, compressed once, counted as the provider counts.

Formats and module order: https://docs.cloud-init.io/en/latest/reference/modules.html. ``write_files`` runs before
``runcmd``'s script; cloud-init understands gzip of the whole document, nothing newer.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kgen import names
from kgen.config.model import Cluster, Machine, Role
from kgen.render import engine

# cloud-init syncs no file, and takes a module for done before it runs it. So until the runner is done, every boot
# delivers again (by removing these per-instance semaphores), and makes files of the network anew that a power cut has
# left empty: cloud-init reads them, fails, and would never write them again (seen with 26.2).
_MODULES = ("set_hostname", "write_files", "runcmd", "scripts_user")
_NETWORK = "instance/network-config.json /etc/[nN]* /etc/systemd/network"
_NAMES = "*[dk]-[ci]*"  # of cloud-init, as 50-cloud-init.yaml is, and network-config
REDELIVER = (
    f"test -e {names.DONE_PATH} || {{ cd /var/lib/cloud && "
    f"rm -f {' '.join(f'instance/sem/config_{module}' for module in _MODULES)}; "
    f"find {_NETWORK} -type f -empty -name '{_NAMES}' -print -delete 2>/dev/null | grep -q . && "
    "rm -f data/instance-id && cloud-init init; sync; }"
)
_PYTHON = "/usr/bin/python3"
_NO_RUNNER = "kgen: no first-boot program: start this machine from an image made by kgen bake"
_WINDOW = 32_768
_ITERATIONS = 5  # 15, zopfli's default, find 6 bytes more in twice the time
_WORTH_A_BLOCK = 4_096  # a block of its own has a code table of its own, some 80 bytes
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
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
        self._start = compressor.compress(self.text) + compressor.flush(zlib.Z_SYNC_FLUSH)
        self._compressor = compressor

    def document(self, tail: str, key_material: str = "") -> Document:
        """Return the document that is this head and ``tail``.

        ``key_material`` is the part of ``tail`` that is hexadecimal. It is compressed apart, with a strategy that
        finds no short matches: among random digits they cost more than they save (4,210 against 4,610 bytes for a
        master's).
        """
        end = tail.encode()
        text = self.text + end
        start = end.find(key_material.encode()) if len(key_material) >= _WORTH_A_BLOCK else -1
        compressor = self._compressor.copy()
        if start < 0:
            deflated = compressor.compress(end) + compressor.flush()
        else:
            stop = start + len(key_material)
            deflated = compressor.compress(end[:start]) + compressor.flush(zlib.Z_SYNC_FLUSH)
            deflated += _continue(end[start:stop], self.text + end[:start], zlib.Z_FILTERED, zlib.Z_SYNC_FLUSH)
            deflated += _continue(end[stop:], self.text + end[:stop], zlib.Z_DEFAULT_STRATEGY, zlib.Z_FINISH)
        return Document(text, _gzip(self._start + deflated, zlib.crc32(end, self.crc), len(text)))


def packed(document: Document) -> Document:
    """Return the document in the smallest gzip known: zopfli's, 2.5 % smaller, for 0.15 s of CPU instead of 0.01 s."""
    from zopfli.gzip import compress  # only where it is needed: most renders have nothing to compress

    return Document(document.text, compress(document.text, numiterations=_ITERATIONS))


def _gzip(deflated: bytes, crc: int, size: int) -> bytes:
    return _GZIP_HEADER + deflated + struct.pack("<LL", crc, size & 0xFFFFFFFF)


def _continue(data: bytes, before: bytes, strategy: int, flush: int) -> bytes:
    """Return ``data`` deflated with another strategy as the next part of a stream that holds ``before``."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15, 9, strategy, before[-_WINDOW:])
    return compressor.compress(data) + compressor.flush(flush)


def launch(*, embedded: bool) -> list[str] | str:
    """Return the command that waits for the runner; where the image should have it and does not, it says so."""
    if embedded:
        return [_PYTHON, str(names.RUNNER_PATH), "--launch"]
    path = names.BAKED_LAUNCH
    return f"test -e {path} || {{ echo '{_NO_RUNNER}' | tee /dev/console; exit 2; }}; {path}"


def image_delivery() -> str:
    """Return the script of an image that does at each boot what a document with its runner does by itself.

    It also says which role's program is this machine's, whose unit starts once cloud-init has delivered the rest.
    """
    links = f"ln -sf firstboot-$1.py {names.RUNNER_PATH}; ln -sf {names.RUNNER_PATH} {names.COMMAND_PATH}"
    return f"#!/bin/sh\ntest ! -e {names.DONE_PATH} || exit 0\n{links}\n{REDELIVER}\n"


def head(cluster: Cluster, role: Role, runner: str | None, users: Sequence[Mapping[str, Any] | str]) -> Head:
    """Return what all documents of one role begin with.

    ``runner`` is the program's text for that role; None when it is baked into the image. ``users`` are cloud-init's
    entries with password hashes in place.
    """
    text = engine.render(
        "cloud-init/user-data.yaml.j2",
        redeliver=REDELIVER if runner is not None else f"{names.BAKED_DELIVERY} {role}",
        launch=launch(embedded=runner is not None),
        ntp=cluster.ntp,
        users=list(users),
        runner_path=str(names.RUNNER_PATH),
        runner=None if runner is None else engine.Block(runner, 4),
    )
    return Head(text)


def tail(cluster: Cluster, machine: Machine, payload: str, *, is_text: bool = False) -> str:
    """Return what is the machine's own in its document; pools set no hostname.

    ``is_text``: the provider takes no gzip. Then the payload alone is compressed (write_files' ``gz+b64``), since a
    document of plain text would be too large.
    """
    hostname = machine.name if cluster.set_hostname and not machine.is_pool else ""
    return engine.render(
        "cloud-init/machine.yaml.j2",
        payload_path=str(names.PAYLOAD_PATH),
        payload=_gz_b64(payload) if is_text else engine.Block(payload, 4),
        encoding="gz+b64" if is_text else "",
        hostname=hostname,
    )


def _gz_b64(payload: str) -> str:
    data = payload.encode()
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    deflated = compressor.compress(data) + compressor.flush()
    return base64.b64encode(_gzip(deflated, zlib.crc32(data), len(data))).decode()
