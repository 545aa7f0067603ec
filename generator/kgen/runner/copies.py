"""The copies that `kgen apply` keeps of the files it replaces."""

import os
import shutil
from typing import Any

from .base import Run, read, write
from .files import put

COPIES = "/var/lib/kgen/replaced"
LAST_COPIES = "/var/lib/kgen/replaced-last"
# The suffix of an empty file that takes the place of a copy if there was no file to copy.
NO_FILE = ".kgen-no-file"


def copy_of(run: Run, path: str) -> str:
    """Return where the copy of a file is kept."""
    return run.root + COPIES + path


def has_copy(run: Run, path: str) -> bool:
    """Return whether this run, or an earlier run that was cut, has replaced the file."""
    return os.path.exists(copy_of(run, path)) or os.path.exists(copy_of(run, path) + NO_FILE)


def replace_file(run: Run, path: str, mode: int, text: Any) -> None:
    """Write a file, or remove it if ``text`` is None. Keep a copy, unless an earlier run has one: the original."""
    there, copy = run.root + path, copy_of(run, path)
    if not has_copy(run, path):
        os.makedirs(os.path.dirname(copy), 0o700, exist_ok=True)
        if os.path.exists(there):
            write(copy, read(there), os.stat(there).st_mode & 0o777)
        else:
            write(copy + NO_FILE, "")
    if text is not None:
        put(run, path, text, mode)
    elif os.path.exists(there):
        os.remove(there)


def keep_last(run: Run) -> None:
    """Rename the directory of copies, whose presence means that a run was cut. The last copies stay readable."""
    if os.path.exists(run.root + COPIES):
        shutil.rmtree(run.root + LAST_COPIES, ignore_errors=True)
        os.rename(run.root + COPIES, run.root + LAST_COPIES)
