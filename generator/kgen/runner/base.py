"""One run of the runner: where it works, what it was told, how it reads, writes, reports and waits."""

import http.client
import json
import os
import time
from typing import Any


class Stop(Exception):
    """The run ends here: exit code, one sentence, what to do about it."""

    pass


class Pending(OSError):
    """What is waited for is not there yet; says what is there instead."""

    pass


class Run:
    """What the steps share.

    ``root`` stands before every path, ``kubelet`` is the command that replaces systemd's; ``body`` is the
    payload as fetched, then its verified body; ``sha256`` names it; ``finished`` are the steps that need not run again.
    """

    def __init__(self, root: str, kubelet: str) -> None:
        """Start the clock."""
        self.root = root
        self.kubelet = kubelet
        self.start = time.time()
        self.step = self.sha256 = ""
        self.body: Any = None
        self.finished: Any = []
        self.link: Any = None
        self.listener: Any = None


def read(path: str) -> str:
    """Return the text of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path: str, text: str, mode: int = 0o644) -> None:
    """Put a whole file at ``path``, with its mode from its first moment there; a reader never sees half of it."""
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    # Not a static pod to the kubelet, and the next attempt takes the same name.
    temp = f"{folder}/.{name}"
    with open(temp, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(text)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    os.rename(temp, path)
    sync = os.open(folder, os.O_RDONLY)
    os.fsync(sync)
    os.close(sync)


def tell(run: Run, phase: str, error: str = "", hint: str = "", code: int = 0) -> None:
    """Write status.json."""
    seconds = round(time.time() - run.start)
    story = {"phase": phase, "step": run.step, "seconds": seconds, "error": error, "hint": hint, "exit_code": code}
    write(run.root + "/run/kgen/status.json", json.dumps(story))


def wait(run: Run, what: str, probe: Any, seconds: float = 240, hint: str = "see journalctl -u kubelet") -> Any:
    """Return what ``probe()`` returns as soon as it raises nothing, for at most ``seconds`` times waitFactor."""
    seconds *= run.body["waitFactor"]
    end = time.monotonic() + seconds
    while True:
        try:
            return probe()
        except (OSError, http.client.HTTPException) as problem:
            error = f"waiting for {what}: {problem or type(problem).__name__}"
        if time.monotonic() > end:
            raise Stop(3, f"gave up after {seconds:g} s {error}", hint)
        tell(run, "waiting", error, hint)
        time.sleep(0.3)
