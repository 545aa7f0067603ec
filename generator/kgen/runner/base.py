"""One run of the runner: where it works, what it was told, how it reports, waits and writes."""

import http.client
import json
import os
import time
from typing import Any

LOGS = "see journalctl -u kubelet and /var/log/pods"


class Stop(Exception):
    """The run ends here: exit code, one sentence, what to do about it."""

    pass


class Pending(Exception):
    """A probe's answer is not what is waited for yet; says what it is."""

    pass


class Run:
    """What the steps share.

    ``root`` stands before every path; ``kubelet`` is the command instead of systemd's; ``done`` holds the names of
    the finished steps; ``body`` is the payload's; ``api`` and ``listener`` are open connections.
    """

    def __init__(self, root: str, kubelet: str) -> None:
        """Start the clock."""
        self.root = root
        self.kubelet = kubelet
        self.start = time.time()
        self.step = ""
        self.sha256 = ""
        self.done: Any = []
        self.body: Any = {}
        self.api: Any = None
        self.listener: Any = None


def write(path: str, text: str, mode: int = 0o644) -> None:
    """Put a whole file at ``path``, with its mode from its first moment there; a reader never sees half of it."""
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    temp = folder + "/." + name + ".kgen"
    with open(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
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
    status = {"phase": phase, "step": run.step, "error": error, "hint": hint, "exit_code": code}
    status["seconds"] = round(time.time() - run.start, 1)
    write(run.root + "/run/kgen/status.json", json.dumps(status))


def wait(run: Run, what: str, probe: Any, seconds: float = 240, hint: str = LOGS) -> Any:
    """Return what ``probe()`` returns as soon as it raises nothing, for at most ``seconds`` times waitFactor."""
    seconds *= run.body["waitFactor"]
    end = time.monotonic() + seconds
    while True:
        try:
            return probe()
        except (OSError, http.client.HTTPException, Pending) as error:
            reason = f"waiting for {what}: {error or type(error).__name__}"
        if time.monotonic() > end:
            raise Stop(3, f"gave up after {seconds:g} s {reason}", hint)
        tell(run, "waiting", reason, hint)
        time.sleep(0.3)
