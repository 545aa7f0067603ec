"""Compare, stage, swap in, prune, record: the only code that writes below an output directory.

A render streams through :class:`Output`. A file that differs from the disk is kept aside (``swap.py``), and nothing
else is touched until ``commit``. Files are not synced to disk one by one: every render compares their contents, so
rendering again repairs what a power cut damaged.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

from kgen.errors import KgenError
from kgen.output import lock
from kgen.output.artifacts import Artifact
from kgen.output.disk import disk_errors, refuse_foreign
from kgen.output.swap import DIRECTORY_MODE, Change, Kind, Staging

LOCK_MODE = 0o600


class Output:
    """One verb's files in an output directory: compared with the disk, then all made real, or none.

    ``root`` is ``outputs/<cluster>``, ``section`` the verb's name in the lock file. With ``check`` nothing is written
    at all. Use it in a ``with`` statement: leaving the block without ``commit`` leaves the disk as it was. While it is
    open, no other process writes there. It keeps one record for each file and no contents.
    """

    def __init__(self, root: Path, section: str, *, check: bool = False) -> None:
        """Read the lock file. Unless ``check`` is set, lock the directory and roll back what a killed run left.

        Raises:
            KgenError: the directory or what kgen keeps in it is a link, somebody else's, damaged, or cannot be read or
                written; or another kgen is at work there.
        """
        self.root = root
        self._prefix = f"{root}/"  # thousands of files: strings are faster than paths
        self._section = section
        self._staging: Staging | None = None
        for directory in (root.parent, root, root / lock.STAGING_NAME):
            refuse_foreign(directory)
        try:
            with disk_errors(root):
                self._staging = None if check else Staging(root)
                self.lock = lock.read(root)
        except BaseException:
            self.abandon()
            raise
        self._listed = self.lock.section(section).files
        self._produced: dict[str, lock.FileRecord] = {}
        self._changes: list[Change] = []
        self._directories: dict[str, int | None] = {}  # mode, None: missing
        self._wrong_modes: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Return the output itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abandon changes that were not committed."""
        self.abandon()

    @property
    def files(self) -> Mapping[str, lock.FileRecord]:
        """Return what was staged, by path."""
        return self._produced

    def kept(self, path: PurePosixPath, text: bytes) -> bytes | None:
        """Return the file at ``path`` if it is a gzip of ``text``, else None.

        Reuse the earlier gzip, so that an unchanged document keeps its bytes under another zlib.
        """
        target = f"{self._prefix}{path}"
        with disk_errors(target):
            try:
                is_file = self._has_parent(str(path)) and stat.S_ISREG(os.lstat(target).st_mode)
            except FileNotFoundError:
                is_file = False
            content = Path(target).read_bytes() if is_file else b""
        return content if _gunzip(content, len(text)) == text else None

    def stage(self, artifact: Artifact) -> None:
        """Compare one file with the disk; keep a new or different one aside until ``commit``.

        Raises:
            KgenError: something that kgen did not write has this name, or the disk cannot be read or written.
        """
        path = str(artifact.path)
        if path in self._produced or artifact.path.parts[0] in (lock.STAGING_NAME, lock.FILE_NAME):
            raise ValueError(f"artifact path is taken: {path}")
        inner = artifact.content if artifact.digest_of is None else artifact.digest_of
        self._produced[path] = lock.FileRecord(hashlib.sha256(inner).hexdigest(), len(inner))
        with disk_errors(self._prefix + path):
            kind = self._examine(path, artifact)
            if kind == "mode":
                self._wrong_modes[path] = artifact.file_mode
            elif kind is not None and self._staging:
                self._staging.keep(len(self._changes), artifact.content, artifact.file_mode)
        if kind is not None:
            self._changes.append(Change(path, kind))

    def prepare(self, facts: Mapping[str, Any]) -> None:
        """Do everything that needs space or that the disk can refuse; afterwards ``commit`` only renames.

        Call it once, after the last file. ``facts`` are JSON values about this verb's files, for the lock file. Until
        ``commit`` it can be abandoned; only corrected modes stay.
        """
        with disk_errors(self.root):
            self._changes += [
                Change(path, "remove") for path in sorted(self._listed.keys() - self._produced) if self._is_file(path)
            ]
            self._examine_directories()
            self._examine_lock(lock.encode(self.lock.with_section(self._section, lock.Section(self._produced, facts))))
            if self._staging and self._changes:
                for path, mode in self._wrong_modes.items():
                    (self.root / path).chmod(mode)
                self._staging.prepare(self._changes)

    def commit(self) -> tuple[Change, ...]:
        """Make the prepared changes, the lock file last. Return them; with ``check`` they are only returned.

        Files of this section that were not staged are removed, with the directories that leaves empty.

        Raises:
            KgenError: the disk refused; the old output is whole again.
        """
        try:
            with disk_errors(self.root):
                if self._staging and self._changes:
                    self._staging.swap(self._changes)
        finally:
            self.abandon()
        return tuple(self._changes)

    def abandon(self) -> None:
        """Remove the staged files and give the lock back. Does nothing after ``commit``."""
        if self._staging:
            self._staging.close()

    def _examine(self, path: str, artifact: Artifact) -> Kind | None:
        """Return how the disk differs from ``artifact``; refuse to replace a file that kgen did not write."""
        target = self._prefix + path
        try:
            found = os.lstat(target) if self._has_parent(path) else None
        except FileNotFoundError:
            found = None
        if found is None:
            return "create"
        if stat.S_ISDIR(found.st_mode):
            raise _in_the_way(target, "is a directory")
        is_same = stat.S_ISREG(found.st_mode) and _has_content(target, found.st_size, artifact)
        if not is_same and path not in self._listed:
            raise _in_the_way(target, "was not written by kgen")
        if not is_same:
            return "update"
        return "mode" if stat.S_IMODE(found.st_mode) != artifact.file_mode else None

    def _has_parent(self, path: str) -> bool:
        """Return whether the directory of ``path`` exists. Links on the way are refused, never followed."""
        parent = path.rpartition("/")[0]
        if parent in self._directories:
            return self._directories[parent] is not None
        found = None
        if not parent or self._has_parent(parent):
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(self._prefix + parent).st_mode
        if found is not None and not stat.S_ISDIR(found):
            raise _in_the_way(self.root / parent, "is a symbolic link" if stat.S_ISLNK(found) else "is not a directory")
        self._directories[parent] = found
        return found is not None

    def _is_file(self, path: str) -> bool:
        try:
            return self._has_parent(path) and not stat.S_ISDIR(os.lstat(self._prefix + path).st_mode)
        except FileNotFoundError:
            return False

    def _examine_directories(self) -> None:
        self._has_parent(lock.FILE_NAME)  # the root itself
        for path, found in sorted(self._directories.items()):
            if found is not None and found & 0o777 != DIRECTORY_MODE:  # a setgid bit is inherited or the user's choice
                self._changes.append(Change(path or ".", "mode"))
                self._wrong_modes[path] = DIRECTORY_MODE

    def _examine_lock(self, content: bytes) -> None:
        target = self.root / lock.FILE_NAME
        try:
            found = os.lstat(target)
        except FileNotFoundError:
            kind: Kind = "create"
        else:
            if target.read_bytes() != content:
                kind = "update"
            elif stat.S_IMODE(found.st_mode) != LOCK_MODE:
                kind = "mode"
                self._wrong_modes[lock.FILE_NAME] = LOCK_MODE
            else:
                return
        if self._staging and kind != "mode":  # a lock that a power cut tore could not be repaired
            self._staging.keep(len(self._changes), content, LOCK_MODE, sync=True)
        self._changes.append(Change(lock.FILE_NAME, kind))


def _in_the_way(path: Path | str, reason: str) -> KgenError:
    return KgenError(f"{path} {reason}; nothing was written", "move it away and try again")


def _has_content(target: str, size: int, artifact: Artifact) -> bool:
    return size == len(artifact.content) and Path(target).read_bytes() == artifact.content


def _gunzip(content: bytes, expected_size: int) -> bytes | None:
    """Return the content of a gzip, cut one byte after the expected size; None if it is damaged or anything follows."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        inner = inflater.decompress(content, expected_size + 1)
    except zlib.error:
        return None
    return inner if inflater.eof and not inflater.unused_data else None
