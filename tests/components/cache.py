"""One directory per component, keyed by name, version and recipe; complete or absent, never half-made."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def cache_root() -> Path:
    """Return the cache directory: ``$KGEN_TEST_CACHE``, else ``kgen-test`` below the user's cache directory."""
    explicit = os.environ.get("KGEN_TEST_CACHE")
    if explicit:
        return Path(explicit)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kgen-test"


def recipe_hash(*recipe: str) -> str:
    """Return a short digest of what a component is made from, so a changed recipe is a new cache entry."""
    return hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:12]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def ensure(name: str, recipe: str, make: Callable[[Path], None]) -> Path:
    """Return the directory of component ``name``; ``make(directory)`` fills it when the cache has none.

    Two callers at once: one builds, the other waits. An interrupted build leaves nothing behind that counts.
    """
    target = cache_root() / f"{name}-{recipe}"
    if target.is_dir():
        return target
    with _locked(cache_root() / f".{name}.lock"):
        if target.is_dir():
            return target
        started = time.monotonic()
        say(f"building {name} (cached for later runs in {target})")
        scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache_root()))
        try:
            make(scratch)
            scratch.chmod(0o755)
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        say(f"built {name} in {time.monotonic() - started:.0f} s")
    return target


def keep_newest(name: str, count: int) -> None:
    """Remove all entries of ``name`` but the newest: disks of machines are large, and each recipe has its own."""
    entries = [path for path in cache_root().glob(f"{name}-*") if path.is_dir()]
    for path in sorted(entries, key=lambda path: path.stat().st_mtime)[:-count]:
        shutil.rmtree(path)


def say(text: str) -> None:
    """Report progress on stderr; stdout belongs to the caller."""
    print(f"components: {text}", file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run ``command`` and return its stdout; on failure show what it printed and raise."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**os.environ, **(env or {})}, text=True, capture_output=True
    )
    if done.returncode != 0:
        say(f"failed ({done.returncode}): {' '.join(map(str, command))}\n{done.stdout[-4000:]}{done.stderr[-8000:]}")
        raise RuntimeError(f"{command[0]} exited {done.returncode}")
    return done.stdout
