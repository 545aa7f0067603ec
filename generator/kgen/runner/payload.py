"""The payload: fetched, verified, in time. This is done at every run: what was true at one boot need not be now."""

import hashlib
import json
import os
import socket
import time
from typing import Any

from .base import Pending, Run, Stop, load, read, wait

STATE = "/var/lib/kgen/state.json"
PAYLOAD = "/etc/kgen/payload.json"
REBUILD = "render again and rebuild this machine"
# Functions of the body: they put back what does not travel, and the checksum is that of the whole.
RESTORED: Any = []


def fetch(run: Run) -> None:
    """Read the payload; where else it may come from will be decided here."""
    if os.path.exists(run.root + PAYLOAD):
        run.body = read(run.root + PAYLOAD)


def digest(text: str) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def verify(run: Run) -> None:
    """Accept the payload only as a whole and with the runner it was made for; then load the state it is in."""
    try:
        document = json.loads(run.body)
        run.body = document.pop("body")
        for restore in RESTORED:
            restore(run.body)
        run.sha256 = digest(json.dumps(run.body, sort_keys=True))
        whole = document == {"format": 1, "sha256": run.sha256, "runner": digest(read(__file__))}
    except Stop:
        raise
    except Exception:
        whole = False
    if not whole:
        raise Stop(4, f"payload {PAYLOAD} is missing, damaged, of another format or for another runner", REBUILD)
    run.body.setdefault("name", socket.gethostname().lower())
    run.finished = load(run.root + STATE).get(run.sha256, {})


def clock(run: Run) -> None:
    """Go on only while every certificate is valid."""

    def probe() -> None:
        for name, (start, end) in run.body["validity"].items():
            if time.time() > end:
                raise Stop(
                    2,
                    f"certificate {name} expired {time.ctime(end)}",
                    f"kgen certs renew cluster.yaml {name[:-4]}, " + REBUILD,
                )
            if time.time() < start:
                raise Pending(f"the clock is behind, {name} is valid from {time.ctime(start)}")

    wait(run, "the time", probe, 240, "check NTP")
