"""What the steps share: the run, files, status, and waiting."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

# Exit codes. 0 is success.
FAILED = 1
PERSON_MUST_ACT = 2
WAIT_RAN_OUT = 3
PAYLOAD_UNUSABLE = 4

STATUS = "/run/kgen/status.json"
SEE_KUBELET = "see journalctl -u kubelet"


class Stop(Exception):
    """The run ends here. Its arguments are the exit code, one sentence, and what to do about it."""


class Pending(OSError):
    """What is waited for is not there yet. Its argument says what is there instead."""


class Run:
    """One run of the program.

    ``root`` stands before every path, ``kubelet`` is the command in systemctl's place. ``body`` is that of the payload,
    ``sha256`` its checksum. ``finished`` maps the recorded steps to the seconds they took. ``replaces`` says that an
    earlier payload of this cluster has begun here. ``link`` is the connection to the API server.
    """

    def __init__(self, root: str, kubelet: str) -> None:
        """Start the clock."""
        self.root = root
        self.kubelet = kubelet
        self.start = time.monotonic()
        self.step = ""
        self.sha256 = ""
        self.body: dict[str, Any] = {}
        self.finished: dict[str, float] = {}
        self.replaces = False
        self.link: Any = None


def read(path: str) -> str:
    """Return the text of a file. Bytes that are not UTF-8 become U+FFFD, so that a checksum does not match."""
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        return file.read()


def load(path: str) -> dict[str, Any]:
    """Return the content of a JSON file, empty if there is no such file.

    A file that holds no JSON object stops the run: a power cut or a full disk may have damaged it.
    """
    if not os.path.exists(path):
        return {}
    try:
        content = json.loads(read(path))
        if isinstance(content, dict):
            return content
    except ValueError:
        pass
    raise Stop(PERSON_MUST_ACT, f"{path} is damaged: it is not a JSON object", f"rm {path}, then reboot")


def write(path: str, content: Any, mode: int = 0o644) -> None:
    """Put a whole file of text or bytes at ``path``, with its mode from the first moment. A reader never sees half."""
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    # The kubelet ignores names that begin with a dot, and the next attempt takes the same name.
    temp = f"{folder}/.{name}"
    try:
        with open(temp, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(content if isinstance(content, bytes) else content.encode())
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except OSError as problem:
        # The error of a full disk names no file.
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


def wait(run: Run, what: str, probe: Callable[[], Any], seconds: float = 240, hint: str = SEE_KUBELET) -> Any:
    """Return what ``probe`` returns, as soon as it raises no OSError; wait at most ``seconds`` times waitFactor.

    The console says what is missing at once, every minute, and when it changes, at most every five seconds. The pauses
    grow with the time already waited, so that neither the processor nor the cluster is kept busy.
    """
    begin = time.monotonic()
    seconds *= run.body["waitFactor"]
    told = ""
    due = 0.0
    while True:
        try:
            return probe()
        except OSError as problem:
            error = f"waiting for {what}: {problem}"
        waited = time.monotonic() - begin
        if waited > seconds:
            raise Stop(WAIT_RAN_OUT, f"gave up after {seconds:g} s {error}", hint)
        if waited >= due - (55 if error != told else 0):
            tell(run, "waiting", error, hint)
            print(f"kgen: {error}; {hint}")
            told = error
            due = waited + 60
        time.sleep(min(2, 0.2 + waited / 100))
