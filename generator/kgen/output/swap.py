"""A set of file changes below one directory, made all or none.

New contents are kept in ``.kgen-new`` inside the directory. The swap itself only renames. Every file that is replaced
or removed keeps a name in ``.kgen-new`` until the end, and a journal lists the changes. A run that finds a journal
rolls back what it lists: the same run after a failure, the next run after a kill. Removing the journal completes the
change.

The directory may come from somebody else's checkout, so a journal is not trusted: its paths stay below the directory
and pass through no link.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from kgen.errors import KgenError
from kgen.output import lock
from kgen.output.disk import lock_directory, read_plain_file, refuse_foreign, sync_directory, write_new

DIRECTORY_MODE = 0o700
_ATTEMPTS = 100  # each fails only when another process removes the directory in that moment

Kind = Literal["create", "update", "remove", "mode"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between the disk and the render. ``path`` is relative; of kind ``mode`` only the mode differs."""

    path: str
    kind: Kind


class Staging:
    """The staging directory of ``root``, held by one process at a time."""

    def __init__(self, root: Path) -> None:
        """Make and lock the directory, and roll back what a killed run left unfinished.

        Raises:
            KgenError: another process holds it, or its journal is damaged.
            OSError: the directory cannot be made or written.
        """
        self._root = root
        self._path = root / lock.STAGING_NAME
        self._made: list[Path] = []
        self._fd = -1
        try:
            self._acquire()
            self._roll_back()
            self._empty()
        except BaseException:
            self.close()
            raise

    def keep(self, number: int, content: bytes, mode: int, *, sync: bool = False) -> None:
        """Keep the new content of change ``number`` until the swap; with ``sync`` it is on the disk by then."""
        write_new(f"{self._path}/{number}.new", content, mode, sync=sync)

    def prepare(self, changes: Sequence[Change]) -> None:
        """Write the journal and make the directories that ``changes`` need. The swap needs no more space.

        The journal reaches the disk before anything it lists is changed.
        """
        parents = {change.path.rpartition("/")[0] for change in changes if change.kind == "create"}
        missing = _missing(self._root / parent for parent in parents)
        journal = {
            "changes": [(change.path, change.kind) for change in changes],
            "directories": [str(path.relative_to(self._root)) for path in missing],
        }
        write_new(self._path / "journal.tmp", json.dumps(journal).encode(), 0o600, sync=True)
        (self._path / "journal.tmp").rename(self._path / "journal")
        sync_directory(self._path)
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
        """Undo an unfinished swap, remove the staging directory, give the lock back.

        If the disk refuses, the next run rolls back.
        """
        with contextlib.suppress(OSError, KgenError):
            if self._fd >= 0:
                self._roll_back()
                self._empty()
                _remove_empty([self._path])  # while the lock is held: afterwards it may be another process's
            _remove_empty(reversed(self._made))
            self._made = []
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _empty(self) -> None:
        for path in self._path.iterdir():
            path.unlink()

    def _acquire(self) -> None:
        for _ in range(_ATTEMPTS):
            for path in _missing([self._path]):
                with contextlib.suppress(FileExistsError, FileNotFoundError):
                    path.mkdir(DIRECTORY_MODE)
                    self._made += [path] if path != self._path else []
            with contextlib.suppress(FileNotFoundError):  # another process has removed it meanwhile
                self._fd = lock_directory(self._path)
                return
        raise KgenError(f"{self._root} cannot be made", "is something on this path a dangling link?")

    def _roll_back(self) -> None:
        """Put back what the journal lists, newest first. May be interrupted and repeated."""
        journal = self._path / "journal"
        try:
            changes, directories = _decode(read_plain_file(journal, follow=False))
        except FileNotFoundError:
            return
        except lock.MALFORMED as error:
            raise lock.damaged(journal, self._root) from error
        for parent in {parent for path, _ in changes for parent in PurePosixPath(path).parents}:
            refuse_foreign(self._root / parent)
        for number, (path, kind) in reversed(list(enumerate(changes))):
            target, new, old = self._places(number, path)
            if kind == "create" and not os.path.lexists(new):
                target.unlink(missing_ok=True)
            elif kind in ("update", "remove") and os.path.lexists(old):
                for directory in _missing([target.parent]):
                    directory.mkdir(DIRECTORY_MODE)
                old.replace(target)
        _remove_empty(self._root / path for path in reversed(directories))
        journal.unlink()

    def _places(self, number: int, path: str) -> tuple[Path, Path, Path]:
        return self._root / path, self._path / f"{number}.new", self._path / f"{number}.old"


def _decode(text: bytes) -> tuple[list[tuple[str, Kind]], list[str]]:
    """Return the changes and the new directories of a journal; raise one of ``lock.MALFORMED`` for anything else."""
    journal = json.loads(text)
    changes = [(lock.below_root(path), kind) for path, kind in journal["changes"]]
    if not {kind for _, kind in changes} <= {*get_args(Kind)}:
        raise ValueError("unknown kind of change")
    return changes, [lock.below_root(path) for path in journal["directories"]]


def _remove_emptied(root: Path, removed: Iterable[str]) -> None:
    """Remove the directories below ``root`` that the removal of these files left empty."""
    parents = {parent for path in removed for parent in (root / path).parents if root in parent.parents}
    _remove_empty(sorted(parents, key=lambda path: len(path.parts), reverse=True))


def _missing(directories: Iterable[Path]) -> list[Path]:
    """Return the directories that do not exist, with missing ones above them, outermost first."""
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
