"""The processes of a lab: found by their pid file, and told from others by their command line."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from kgen.errors import KgenError
from kgen.output.disk import disk_errors

_PID_FILE = "pid"
_LOG = "start.log"
_END_SECONDS = 60.0


def running_pid(directory: Path) -> int | None:
    """Return the pid of the process of ``directory``, None if it does not run.

    A pid alone proves nothing: after a restart of this computer another process may have it. So the command line must
    have the directory's path in it, which no other process has.
    """
    try:
        pid = int((directory / _PID_FILE).read_text(encoding="ascii"))
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="surrogateescape")
        state = _state(pid)
    except (OSError, ValueError, IndexError):
        return None
    path = str(directory)
    is_ours = any(word.removeprefix("guest=").replace(",,", ",") == path for word in words.split("\0"))
    return pid if is_ours and state not in "ZX" else None


def start(command: Sequence[str], directory: Path) -> None:
    """Run a program that becomes a daemon, and writes its own pid file, in ``directory``.

    Raises:
        KgenError: it does not start; the error has its first line.
    """
    log = directory / _LOG
    with disk_errors(directory):
        (directory / _PID_FILE).unlink(missing_ok=True)
        with log.open("wb") as said:
            done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        if done.returncode:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = next((line for line in lines if "warning" not in line), f"exit code {done.returncode}")
            raise KgenError(f"{directory.name.lstrip('.')} does not start: {reason}", f"{log} has all that was said")


def kill(directory: Path) -> bool:
    """End the process of ``directory`` at once, and return whether there was one.

    Raises:
        KgenError: it does not end.
    """
    pid = running_pid(directory)
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        raise KgenError(f"process {pid} belongs to another user", "run kgen as the user who started the lab") from None
    if not has_ended(pid, _END_SECONDS):
        raise KgenError(f"process {pid} does not end", f"look at it with: ps -fp {pid}")
    return True


def has_ended(pid: int, seconds: float) -> bool:
    """Wait until a process has ended, at most ``seconds``; return whether it has.

    Its files are closed, and its locks and ports are free, when its last thread has ended. Its parent may never ask.
    """
    deadline = time.monotonic() + seconds
    while not _is_over(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _is_over(pid: int) -> bool:
    try:
        return _state(pid) in "ZX" and len([*Path(f"/proc/{pid}/task").iterdir()]) <= 1
    except OSError:
        return True


def _state(pid: int) -> str:
    """Return the letter of a process's state.

    Raises:
        OSError: there is no such process.
    """
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()[0]
