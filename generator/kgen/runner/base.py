"""One run of the runner: where it works, what it was told, how it reads, writes, reports and waits."""

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


STATUS = "/run/kgen/status.json"


class Run:
    """What the steps share.

    ``root`` stands before every path, ``kubelet`` is the command in systemctl's place; ``body`` is the
    payload as fetched, then its verified body; ``sha256`` names it; ``finished`` are the steps that need not run
    again, with the seconds they took; ``asked`` are the addresses of masters that were told by the guard.
    """

    def __init__(self, root: str, kubelet: str) -> None:
        """Start the clock."""
        self.root = root
        self.kubelet = kubelet
        self.start = time.monotonic()
        self.step = self.sha256 = ""
        self.body: Any = None
        self.finished: Any = {}
        self.link: Any = None
        self.listener: Any = None
        self.asked: Any = set()


def read(path: str) -> str:
    """Return the text of a file; what is no text in it becomes U+FFFD, which no checksum takes for the original."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def load(path: str) -> Any:
    """Return the content of a JSON file that may not be there yet."""
    return json.loads(read(path)) if os.path.exists(path) else {}


def write(path: str, text: str, mode: int = 0o644) -> None:
    """Put a whole file at ``path``, with its mode from its first moment there; a reader never sees half of it."""
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    # Not a static pod to the kubelet, and the next attempt takes the same name.
    temp = f"{folder}/.{name}"
    try:
        with open(temp, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except OSError as problem:
        # A full disk says only that, and says it again when the file is closed.
        problem.filename = path
        raise
    os.rename(temp, path)
    sync = os.open(folder, os.O_RDONLY)
    os.fsync(sync)
    os.close(sync)


def tell(run: Run, phase: str, error: str = "", hint: str = "", code: int = 0) -> None:
    """Write status.json."""
    seconds = round(time.monotonic() - run.start)
    story = {"phase": phase, "step": run.step, "seconds": seconds, "error": error, "hint": hint, "exit_code": code}
    write(run.root + STATUS, json.dumps(story))


def wait(run: Run, what: str, probe: Any, seconds: float = 240, hint: str = "see journalctl -u kubelet") -> Any:
    """Return what ``probe()`` returns as soon as it raises nothing, for at most ``seconds`` times waitFactor.

    What is missing is reported at once, each minute, and five seconds later when it changes. Pauses grow with the
    time already waited, so that neither the machine's processor nor a cluster that many wait for is kept busy.
    """
    begin = time.monotonic()
    seconds *= run.body["waitFactor"]
    told: Any = ""
    due: Any = 0
    while True:
        try:
            return probe()
        except OSError as problem:
            error = f"waiting for {what}: {problem}"
        waited = time.monotonic() - begin
        if waited > seconds:
            raise Stop(3, f"gave up after {seconds:g} s {error}", hint)
        if waited >= due - 55 * (error != told):
            tell(run, "waiting", error, hint)
            print(f"kgen: {error}; {hint}")
            told, due = error, waited + 60
        time.sleep(min(2, 0.2 + waited / 100))
