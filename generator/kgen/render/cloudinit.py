"""Payloads → ``#cloud-config`` documents, compressed once, counted as the provider counts.

Formats: https://docs.cloud-init.io/en/latest/reference/modules.html. cloud-init understands gzip of the whole document,
nothing newer.
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
from kgen.render import delivery, engine

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


def head(cluster: Cluster, role: Role, runner: str | None, users: Sequence[Mapping[str, Any] | str]) -> Head:
    """Return what all documents of one role begin with.

    ``runner`` is the program's text for that role; None when it is baked into the image. ``users`` are cloud-init's
    entries with password hashes in place.
    """
    text = engine.render(
        "cloud-init/user-data.yaml.j2",
        bootcmd=delivery.baked_bootcmd(role) if runner is None else engine.Block(delivery.bootcmd(), 2),
        runcmd=delivery.baked_runcmd() if runner is None else delivery.runcmd(),
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
