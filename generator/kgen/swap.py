"""A set of file changes below one directory, made all or none.

New contents are kept in ``.kgen-new`` inside the directory. Swapping only renames; every replaced or removed file
keeps a name there until the end, and a journal says what was meant. Whoever finds a journal rolls back what it lists:
the same run after a failure, the next run after one that was killed. Removing the journal is the moment the change
holds.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kgen.disk import write_new
from kgen.errors import KgenError

NAME = ".kgen-new"
DIRECTORY_MODE = 0o700
PATIENCE_SECONDS = 3.0
_POLL_SECONDS = 0.02
_ATTEMPTS = 100  # each fails only when another process removes the directory in that moment

Kind = Literal["create", "update", "remove", "mode"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between the disk and what was rendered; ``path`` is relative, ``mode``: only the mode differs."""

    path: str
    kind: Kind


class Staging:
    """The staging directory of ``root``, held by one process at a time."""

    def __init__(self, root: Path) -> None:
        """Make and lock it, and roll back what a killed run left unfinished.

        Raises:
            KgenError: another process holds it.
            OSError: the directory cannot be made or written.
        """
        self._root = root
        self._path = root / NAME
        self._made: list[Path] = []
        self._fd = -1
        try:
            self._acquire()
            self._roll_back()
            self._empty()
        except BaseException:
            self.close()
            raise

    def keep(self, number: int, content: bytes, mode: int) -> None:
        """Keep the new content of change ``number`` until the swap."""
        write_new(f"{self._path}/{number}.new", content, mode)

    def prepare(self, changes: Sequence[Change]) -> None:
        """Make the directories that ``changes`` need and write the journal: from here on, space is not needed."""
        parents = {change.path.rpartition("/")[0] for change in changes if change.kind == "create"}
        missing = _missing(self._root / parent for parent in parents)
        journal = {
            "changes": [(change.path, change.kind) for change in changes],
            "directories": [str(path.relative_to(self._root)) for path in missing],
        }
        write_new(self._path / "journal.tmp", json.dumps(journal).encode(), 0o600)
        (self._path / "journal.tmp").rename(self._path / "journal")
        for path in missing:
            path.mkdir(DIRECTORY_MODE)

    def swap(self, changes: Sequence[Change]) -> None:
        """Make every prepared change, in order; afterwards there is no way back."""
        for number, change in enumerate(changes):
            target, new, old = self._places(number, change.path)
            if change.kind == "create":
                new.rename(target)
            elif change.kind == "update":
                _give_second_name(target, old)
                new.replace(target)
            elif change.kind == "remove":
                target.rename(old)
        _remove_emptied(self._root, (change.path for change in changes if change.kind == "remove"))
        (self._path / "journal").unlink()
        self._made = []

    def close(self) -> None:
        """Undo what was not swapped to the end, remove the staging directory, let others in.

        What cannot be undone now (the disk fails) stays for the next run to roll back.
        """
        with contextlib.suppress(OSError):
            if self._fd >= 0:
                self._roll_back()
                self._empty()
                (self._path / "lock").unlink()  # last: from here on the directory can be another process's
                _remove_empty([self._path])
            _remove_empty(reversed(self._made))
            self._made = []
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _empty(self) -> None:
        for path in self._path.iterdir():
            if path.name != "lock":
                path.unlink()

    def _acquire(self) -> None:
        """Lock a file inside. It is removed with the directory, so one that has lost its name is nobody's lock."""
        for _ in range(_ATTEMPTS):
            missing = _missing([self._path])
            self._made += missing
            for path in missing:
                with contextlib.suppress(FileExistsError, FileNotFoundError):
                    path.mkdir(DIRECTORY_MODE)
            try:
                fd = os.open(self._path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except FileNotFoundError:
                continue
            try:
                self._wait(fd)
            except BaseException:
                os.close(fd)
                raise
            if os.fstat(fd).st_nlink:
                self._fd = fd
                return
            os.close(fd)
        raise KgenError(f"{self._root} cannot be made", "is something on this path a dangling link?")

    def _wait(self, fd: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise KgenError(f"another kgen is writing to {self._root}", "wait until it is done") from None
                time.sleep(_POLL_SECONDS)

    def _roll_back(self) -> None:
        """Put back what the journal lists, newest first. May be interrupted and repeated."""
        try:
            journal = json.loads((self._path / "journal").read_bytes())
        except FileNotFoundError:
            return
        for number, (path, kind) in reversed(list(enumerate(journal["changes"]))):
            target, new, old = self._places(number, path)
            if kind == "create" and not os.path.lexists(new):
                target.unlink(missing_ok=True)
            elif kind in ("update", "remove") and os.path.lexists(old):
                for directory in _missing([target.parent]):
                    directory.mkdir(DIRECTORY_MODE)
                old.replace(target)
        _remove_empty(self._root / path for path in reversed(journal["directories"]))
        (self._path / "journal").unlink()

    def _places(self, number: int, path: str) -> tuple[Path, Path, Path]:
        return self._root / path, self._path / f"{number}.new", self._path / f"{number}.old"


def _remove_emptied(root: Path, removed: Iterable[str]) -> None:
    """Remove the directories below ``root`` that the removal of these files left empty."""
    parents = {parent for path in removed for parent in (root / path).parents if root in parent.parents}
    _remove_empty(sorted(parents, key=lambda path: len(path.parts), reverse=True))


def _missing(directories: Iterable[Path]) -> list[Path]:
    """Return the directories that do not exist, theirs above included, each after the one it is in."""
    missing: set[Path] = set()
    for directory in set(directories):
        while directory not in missing and not directory.exists():
            missing.add(directory)
            directory = directory.parent
    return sorted(missing, key=lambda path: len(path.parts))


def _remove_empty(directories: Iterable[Path]) -> None:
    for directory in directories:
        try:
            directory.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise


def _give_second_name(target: Path, name: Path) -> None:
    """Keep ``target`` under a second name, so that its own name is never without a file.

    A link is replaced, not followed. File systems without hard links rename.
    """
    try:
        os.link(target, name, follow_symlinks=False)
    except OSError:
        target.rename(name)
