"""Warnings if others could read the bundle: permissions and git."""

from __future__ import annotations

import stat
from pathlib import Path

from kgen.errors import KgenError, Problem
from kgen.secrets_bundle import store

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_GIT_PATIENCE_SECONDS = 10


def exposure(path: Path) -> tuple[Problem, ...]:
    """Return a warning for each way in which others could get the bundle at ``path``, which may not exist yet.

    An encrypted one may be read by anybody.
    """
    try:
        found = store.content(path)
    except KgenError:
        return ()
    if found is not None and store.encryption_of(found) != "none":
        return ()
    return tuple(warning for warning in (mode_warning(path), git_warning(path)) if warning)


def mode_warning(path: Path) -> Problem | None:
    """Return a warning if other users may read or change the file."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
    if not mode & _OTHERS:
        return None
    message = f"its mode is {mode:04o}: others on this machine may read the cluster's keys"
    return Problem(str(path), 0, 0, "", "B301", message, f"chmod 600 {path}")


def git_warning(path: Path) -> Problem | None:
    """Return a warning if the file is in a git work tree, and git tracks it or would add it.

    git runs only when there is a ``.git`` in a directory above. Without git, or when git cannot tell, there is none.
    """
    directory = path.absolute().parent
    if not any((parent / ".git").exists() for parent in (directory, *directory.parents)):
        return None
    import subprocess  # slow to import, and most directories are no work tree

    command = ["git", "-C", str(directory), "check-ignore", "--quiet", "--", path.name]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_GIT_PATIENCE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 1:  # 0: ignored and not tracked; 128: git cannot tell
        return None
    message = "git tracks the secrets bundle or would add it: the cluster's keys would be in the history for ever"
    return Problem(str(path), 0, 0, "", "B302", message, f"add {path.name} to .gitignore; git rm --cached {path.name}")
