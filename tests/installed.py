"""The kgen that is installed beside this Python, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

KGEN = Path(sys.executable).with_name("kgen")


def kgen(*words: str | Path, directory: Path | None = None) -> str:
    """Run kgen in ``directory``, and return its stdout; fail when it fails."""
    command = [str(KGEN), *map(str, words)]
    done = subprocess.run(command, cwd=directory, text=True, capture_output=True)
    assert done.returncode == 0, f"{command} exited {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout
