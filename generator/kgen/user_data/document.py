"""A payload as a ``#cloud-config`` document, and the document's gzip.

Formats: https://docs.cloud-init.io/en/latest/reference/modules.html. cloud-init understands gzip of the whole document,
and no other compression. The templates in ``templates/cloud-init`` show what a document contains.
"""

from __future__ import annotations

import base64
import gzip
import struct
import textwrap
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from kgen import __version__, engine, resources
from kgen.facts import names
from kgen.model import Cluster, Role
from kgen.payload import Payload
from kgen.user_data import sealing

ATTACHED = PurePosixPath("user-data")
"""Where documents are that the provider gets."""
UNATTACHED = PurePosixPath("documents")
"""Where they are if the provider gets stubs instead."""
_UNITS = PurePosixPath("/etc/systemd/system")
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"  # deflate, no name, mtime 0, best compression, unknown OS
_BLOCK_IN_LIST = 4  # the column of the lines of a literal block in `- key: |`
_LISTS = ("bootcmd", "runcmd", "runcmd_after", "write_files")
"""The user's keys of cloud-init that are lists which kgen has entries in, too."""
_BEFORE_FIRST_BOOT = frozenset(
    ("packages", "package_update", "package_upgrade", "package_reboot_if_required", "snap", "runcmd")
)
"""Keys of cloud-init's last stage. The first boot of an image, which begins by itself, must wait for them."""
_HOLD = f"""\
# The first boot begins in runcmd, after the packages and commands below.
[ -e {names.DONE_PATH} ] || {{ mkdir -p {names.HOLD_PATH.parent}; touch {names.HOLD_PATH}; }}
"""
_GO = f"rm -f {names.HOLD_PATH}\n"
_NEEDS_IMAGE = f"""\
if [ ! -e {names.RUNNER_PATH} ]; then
  echo "kgen: no first-boot program: start this machine from an image made by kgen bake" | tee /dev/console
  exit 2
fi
"""


@dataclass(frozen=True, slots=True)
class Document:
    """One user-data document: the text and its gzip (mtime 0)."""

    text: bytes = field(repr=False)
    compressed: bytes = field(repr=False)


class Shared:
    """The middle part, which all documents of one role share, compressed once.

    The program is most of a node's document: compressing it again for each of 10,000 nodes would take 20 s. So the
    middle part is compressed without what precedes it, and each document continues with a copy of the compressor.
    A deflate stream is a sequence of blocks (RFC 1951), so the parts one after the other are one stream.
    """

    def __init__(self, text: str) -> None:
        """Compress ``text``."""
        self.content = text.encode()
        self._compressor = _compressor()
        self._blocks = self._compressor.compress(self.content) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def text(self, opening: str, ending: str) -> bytes:
        """Return the text of the document with ``opening`` before the shared part and ``ending`` after it."""
        return opening.encode() + self.content + ending.encode()

    def document(self, opening: str, ending: str) -> Document:
        """Return that document."""
        text = self.text(opening, ending)
        before, after = _compressor(), self._compressor.copy()
        blocks = before.compress(opening.encode()) + before.flush(zlib.Z_SYNC_FLUSH)
        blocks += self._blocks + after.compress(ending.encode()) + after.flush()
        return Document(text, _gzip(text, blocks))


def _gzip(text: bytes, blocks: bytes) -> bytes:
    """Return the gzip member (RFC 1952) of ``text``, whose deflate stream is ``blocks``."""
    return _GZIP_HEADER + blocks + struct.pack("<LL", zlib.crc32(text), len(text) & 0xFFFFFFFF)


def _compressor() -> Any:
    # memLevel=6 makes small blocks, so that key material gets a code table of its own.
    return zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS, memLevel=6)


def directory(cluster: Cluster) -> PurePosixPath:
    """Return where a render writes documents."""
    return UNATTACHED if cluster.secrets_by_reference else ATTACHED


def opening(cluster: Cluster, payload: Payload) -> str:
    """Return the beginning of a document: the comment that says what it is, and the hostname; pools set none."""
    hostname = payload.name if cluster.set_hostname and not payload.is_pool else ""
    return engine.render(
        "cloud-init/opening.yaml.j2",
        cluster=cluster.name,
        name=payload.name,
        is_master=payload.role == "master",
        is_pool=payload.is_pool,
        is_sealed=cluster.seals,
        is_baked=cluster.runner == "baked",
        kgen=__version__,
        kubernetes=str(cluster.kubernetes_version),
        readable=f"outputs/{cluster.name}/{directory(cluster)}/{payload.name}.yaml",
        key=f"outputs/{cluster.name}/{sealing.key_file(payload.name)}",
        tree=f"outputs/{cluster.name}/nodes/{payload.name}/",
        hostname=hostname,
    )


def shared(
    cluster: Cluster,
    role: Role,
    runner: str | None,
    users: Sequence[Mapping[str, Any] | str],
    cloud_init: Mapping[str, Any],
) -> Shared:
    """Return what all documents of one role share.

    ``runner`` is the program's text for that role; None when the image has it. ``users`` are cloud-init's entries
    with password hashes in place. ``cloud_init`` are the user's keys.
    """
    must_wait = _must_wait(cluster, cloud_init)
    text = engine.render(
        "cloud-init/user-data.yaml.j2",
        bootcmd=engine.Block(bootcmd(cluster, role) + (_HOLD if must_wait else ""), _BLOCK_IN_LIST - 2),
        runcmd=engine.Block((_GO if must_wait else "") + runcmd(cluster), _BLOCK_IN_LIST - 2),
        **user_keys(cloud_init),
        runner_path=str(names.RUNNER_PATH),
        ntp=cluster.ntp,
        users=list(users),
        units=[(str(path), _block(text)) for path, text in units()],
        runner=None if runner is None else _block(runner),
    )
    return Shared(text)


def user_keys(cloud_init: Mapping[str, Any]) -> dict[str, Any]:
    """Return the user's keys for a template: ``lists`` that kgen has entries in, too, and the ``others``."""
    others = {key: value for key, value in cloud_init.items() if key not in _LISTS}
    if "power_state" in others:
        others["power_state"] = {**others["power_state"], "condition": ["test", "-e", str(names.DONE_PATH)]}
    return {"lists": {key: cloud_init.get(key) or () for key in _LISTS}, "others": others}


def units() -> list[tuple[PurePosixPath, str]]:
    """Return path and text of the units that a document with the program brings."""
    return [(_UNITS / f"{unit}.service", _unit(unit)) for unit in names.FIRST_BOOT_UNITS]


def _must_wait(cluster: Cluster, cloud_init: Mapping[str, Any]) -> bool:
    """Return whether the first boot of an image must wait for keys of cloud-init's last stage."""
    return cluster.runner == "baked" and not _BEFORE_FIRST_BOOT.isdisjoint(cloud_init)


def bootcmd(cluster: Cluster, role: Role) -> str:
    """Return the shell that cloud-init runs at every boot; an image has most of it as a script."""
    if cluster.runner == "baked":
        return f"{names.IMAGE_DELIVER} {role}\n"
    return resources.template_text("cloud-init/deliver.sh")


def runcmd(cluster: Cluster) -> str:
    """Return the shell that cloud-init runs in its last stage; it returns the exit code of the first-boot program."""
    start = resources.template_text("cloud-init/start.sh")
    return _NEEDS_IMAGE + start if cluster.runner == "baked" else start


def image_deliver() -> str:
    """Return the script of an image that does ``bootcmd``, and links the program of the role that it is called with."""
    links = f"ln -sf firstboot-$1.py {names.RUNNER_PATH}\nln -sf {names.RUNNER_PATH} {names.COMMAND_PATH}"
    comment = "# The image has a program for each role. With this link, its service starts once payload.json is there."
    return f"#!/bin/sh\n{comment}\n{links}\n{resources.template_text('cloud-init/deliver.sh')}"


def stub_bootcmd(cluster: Cluster, role: Role) -> str:
    """Return what ``bootcmd`` does in a stub. An image waits for runcmd, which fetches what the image begins with."""
    if cluster.runner == "baked":
        return bootcmd(cluster, role) + _HOLD.partition("\n")[2]  # 1,500 bytes have no room for its comment
    deliver = resources.template_text("cloud-init/deliver.sh")
    # A stub has room for the loop over cloud-init's modules only, not for the repair of the network's files.
    loop = textwrap.dedent(deliver[deliver.index("  for module in") : deliver.index("  lost=")])
    # Until the machine is done, every boot fetches again.
    return f"[ -e {names.DONE_PATH} ] || {loop}sync\n"


def stub_start(cluster: Cluster) -> str:
    """Return the shell that starts the first boot once the stub's program has written the files."""
    return (_GO if cluster.runner == "baked" else "") + runcmd(cluster)


def compressed(text: bytes) -> bytes:
    """Return the gzip of a whole document, with the header that every document has."""
    compressor = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    return _gzip(text, compressor.compress(text) + compressor.flush())


def ending(payload_json: str, *, is_text: bool = False) -> str:
    """Return the end of a document: the payload.

    ``is_text``: the provider takes no gzip. Then the payload alone is compressed (write_files' ``gz+b64``), since a
    document of plain text would be too large.
    """
    return engine.render(
        "cloud-init/payload.yaml.j2",
        payload_path=str(names.PAYLOAD_PATH),
        payload=_gz_b64(payload_json) if is_text else _block(payload_json),
        encoding="gz+b64" if is_text else "",
    )


def _block(text: str) -> engine.Block:
    return engine.Block(text, _BLOCK_IN_LIST)


def _unit(name: str) -> str:
    """Return the text of an image's unit, which documents that bring the program write."""
    return resources.template_text(f"bake/tree/usr/lib/systemd/system/{name}.service")


def _gz_b64(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
