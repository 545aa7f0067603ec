"""The boot files: kernel, initrd, and what a loader or an initrd fetches. Anybody may read them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from kgen.errors import InputError
from kgen.output.disk import disk_errors

KERNEL = "vmlinuz"
INITRD = "initrd.img"
_SERVED = re.compile(
    r"(vmlinuz|initrd)[\w.+-]*|\w[\w.+-]*\.(efi|kpxe|pxe|img|squashfs|iso|raw|qcow2|gz|xz|zst)", re.ASCII
)
"""The names that are served. Configuration, keys and kubeconfigs, which have other names, never are."""


def find(directory: Path) -> Mapping[str, Path]:
    """Return the files of ``directory`` that are served, by name. Links are followed as far as the directory reaches.

    Raises:
        InputError: the kernel or the initrd is missing, or a link leads out of the directory.
        KgenError: the directory or a file cannot be read.
    """
    found = {}
    with disk_errors(directory):
        root = directory.resolve(strict=True)
        for path in sorted(directory.iterdir()):
            if not _SERVED.fullmatch(path.name) or not path.is_file():
                continue
            target = path.resolve(strict=True)
            if not target.is_relative_to(root):
                hint = f"copy the file: cp --dereference {target} {path}"
                raise InputError(f"{path} is a link that leads out of {directory}", hint)
            size(target)
            found[path.name] = target
    for name, what in ((KERNEL, "kernel"), (INITRD, "initrd")):
        if name not in found:
            raise InputError(f"{directory} has no {name}", f"copy or link the {what} to {directory / name}")
    return found


def size(path: Path) -> int:
    """Return the size of a file that can be read now. Nothing on the path is followed or waited for.

    Raises:
        OSError: it cannot be read, or is no plain file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path} is no plain file")
    return found.st_size
