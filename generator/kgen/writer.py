"""The only code that writes below an output directory: compare, stage, swap in, prune, record.

A render streams through :class:`Output`: a file that differs from the disk is kept aside (``swap.py``), nothing else is
touched until ``commit``. Files are not synced to disk one by one: contents are compared at every render, so what a
power cut damaged is repaired by rendering again.
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

from kgen import lock, swap
from kgen.artifacts import Artifact
from kgen.disk import disk_errors
from kgen.errors import KgenError
from kgen.swap import DIRECTORY_MODE, Change, Kind, Staging

LOCK_MODE = 0o600


class Comparison:
    """One verb's view of an output directory; writes nothing.

    ``root`` is ``outputs/<cluster>``, ``section`` the verb's name in the lock file. Keeps a record a file, no contents.
    """

    def __init__(self, root: Path, section: str) -> None:
        """Read the lock file.

        Raises:
            KgenError: the lock file or the directory cannot be read.
        """
        self.root = root
        self._prefix = f"{root}/"  # thousands of files: strings are faster than paths
        self._section = section
        with disk_errors(root):
            _refuse_link(root)
            self.lock = lock.read(root)
        self._listed = self.lock.section(section).files
        self._produced: dict[str, lock.FileRecord] = {}
        self._changes: list[Change] = []
        self._directories: dict[str, int | None] = {}  # mode, None: missing
        self._wrong_modes: dict[str, int] = {}

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return what differs so far; removals and the lock file are known after ``finish``."""
        return tuple(self._changes)

    @property
    def files(self) -> Mapping[str, lock.FileRecord]:
        """Return what was staged, by path."""
        return self._produced

    def kept(self, path: PurePosixPath, text: bytes) -> bytes | None:
        """Return the file at ``path`` when it is a gzip of ``text``, None when it is anything else or missing.

        Used again, it stays as it is: another zlib, or more effort, would make other bytes of the same text.
        """
        target = f"{self._prefix}{path}"
        with disk_errors(target):
            try:
                is_file = self._has_parent(str(path)) and stat.S_ISREG(os.lstat(target).st_mode)
            except FileNotFoundError:
                is_file = False
            content = Path(target).read_bytes() if is_file else b""
        return content if _gunzip(content, len(text)) == text else None

    def stage(self, artifact: Artifact) -> Change | None:
        """Compare one file with the disk; return the difference, None when there is none.

        Raises:
            KgenError: something that kgen did not write stands there, or the disk cannot be read.
        """
        path = str(artifact.path)
        if path in self._produced or artifact.path.parts[0] in (swap.NAME, lock.FILE_NAME):
            raise ValueError(f"artifact path is taken: {path}")
        inner = artifact.content if artifact.digest_of is None else artifact.digest_of
        self._produced[path] = lock.FileRecord(hashlib.sha256(inner).hexdigest(), len(inner))
        with disk_errors(self._prefix + path):
            kind = self._examine(path, artifact)
        if kind is None:
            return None
        change = Change(path, kind)
        self._changes.append(change)
        if kind == "mode":
            self._wrong_modes[path] = artifact.file_mode
        return change

    def finish(self, facts: Mapping[str, Any]) -> tuple[Change, ...]:
        """Return every difference: files staged, files no longer produced, modes of directories, the lock file.

        ``facts`` are JSON values about this verb's files, for the lock file. Call it once, after the last file.
        """
        with disk_errors(self.root):
            for path in sorted(self._listed.keys() - self._produced.keys()):
                if self._is_file(path):
                    self._changes.append(Change(path, "remove"))
            self._examine_directories()
            self._new_lock = lock.encode(self.lock.with_section(self._section, lock.Section(self._produced, facts)))
            if (kind := self._examine_lock()) is not None:
                self._changes.append(Change(lock.FILE_NAME, kind))
        return self.changes

    def _examine(self, path: str, artifact: Artifact) -> Kind | None:
        """Return how the disk differs from ``artifact``, or refuse what is not ours."""
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
        """Return whether the directory of ``path`` exists, through directories only: links are never followed."""
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
            if found is not None and found & 0o777 != DIRECTORY_MODE:  # a setgid bit is inherited, and the user's
                self._changes.append(Change(path or ".", "mode"))
                self._wrong_modes[path] = DIRECTORY_MODE

    def _examine_lock(self) -> Kind | None:
        target = self.root / lock.FILE_NAME
        try:
            found = os.lstat(target)
        except FileNotFoundError:
            return "create"
        if not stat.S_ISREG(found.st_mode):
            raise _in_the_way(target, "is not a plain file")
        if target.read_bytes() != self._new_lock:
            return "update"
        if stat.S_IMODE(found.st_mode) == LOCK_MODE:
            return None
        self._wrong_modes[lock.FILE_NAME] = LOCK_MODE
        return "mode"


class Output(Comparison):
    """A comparison whose differences are then made real, all or none. Use it in a ``with`` statement.

    Leaving the block without ``commit`` leaves the disk as it was. While it is open, no other process writes there.
    """

    def __init__(self, root: Path, section: str) -> None:
        """Lock the directory, made if missing, and roll back what a killed run left unfinished.

        Raises:
            KgenError: the directory cannot be made or written, or another kgen is writing there.
        """
        _refuse_link(root)
        with disk_errors(root):
            self._staging = Staging(root)
        try:
            super().__init__(root, section)
        except BaseException:
            self._staging.close()
            raise

    def __enter__(self) -> Self:
        """Return the output itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abandon what was not committed."""
        self.abandon()

    def stage(self, artifact: Artifact) -> Change | None:
        """Compare one file with the disk; a new or different one is kept aside until ``commit``."""
        number = len(self._changes)
        change = super().stage(artifact)
        if change is not None and change.kind != "mode":
            with disk_errors(self._prefix + change.path):
                self._staging.keep(number, artifact.content, artifact.file_mode)
        return change

    def prepare(self, facts: Mapping[str, Any]) -> tuple[Change, ...]:
        """Do everything that needs space or can be refused; afterwards ``commit`` only renames.

        Call it once, after the last file. Returns what ``finish`` returns. Until ``commit`` it can be abandoned; only
        corrected modes stay.
        """
        changes = self.finish(facts)
        with disk_errors(self.root):
            if changes and changes[-1].path == lock.FILE_NAME and changes[-1].kind != "mode":
                self._staging.keep(len(changes) - 1, self._new_lock, LOCK_MODE)
            for path, mode in self._wrong_modes.items():
                (self.root / path).chmod(mode)
            if changes:
                self._staging.prepare(changes)
        return changes

    def commit(self) -> tuple[Change, ...]:
        """Make the disk what was prepared, the lock file last; return what changed.

        Files of this section that were not staged are removed, with the directories that leaves empty.

        Raises:
            KgenError: it could not be done; the old output is whole again.
        """
        try:
            with disk_errors(self.root):
                if self._changes:
                    self._staging.swap(self._changes)
        finally:
            self.abandon()
        return self.changes

    def abandon(self) -> None:
        """Remove what was kept aside and let others write. Does nothing after ``commit``."""
        self._staging.close()


def _refuse_link(root: Path) -> None:
    if root.is_symlink():
        raise _in_the_way(root, "is a symbolic link")


def _in_the_way(path: Path | str, reason: str) -> KgenError:
    return KgenError(f"{path} {reason}; nothing was written", "move it away and render again")


def _has_content(target: str, size: int, artifact: Artifact) -> bool:
    return size == len(artifact.content) and Path(target).read_bytes() == artifact.content


def _gunzip(content: bytes, expected_size: int) -> bytes | None:
    """Return what is inside a gzip, at most one byte more than expected; None when it is damaged or has more in it."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        inner = inflater.decompress(content, expected_size + 1)
    except zlib.error:
        return None
    return inner if inflater.eof and not inflater.unused_data else None
