"""The payload: read, verified, and its contents filled in."""

import hashlib
import json
import socket
import time
from typing import Any

from .base import Pending, Run, Stop, wait

STATE = "/var/lib/kgen/state.json"
PAYLOAD = "/etc/kgen/payload.json"
REBUILD = "render again and rebuild this machine"


def fetch(run: Run) -> None:
    """Read the payload; other sources than the document's own file will be told apart here."""
    try:
        with open(run.root + PAYLOAD, encoding="utf-8") as file:
            run.body = json.load(file)
    except (OSError, ValueError) as error:
        raise Stop(4, f"{PAYLOAD} cannot be read ({type(error).__name__})", REBUILD)


def digest(data: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def verify(run: Run) -> None:
    """Accept the payload only as a whole and with the runner it was made for; then load this payload's state."""
    document = run.body
    if not isinstance(document, dict) or document.get("format") != 1:
        raise Stop(4, "the payload's format is unknown to this runner", REBUILD)
    body: Any = document.get("body")
    run.sha256 = digest(json.dumps(body, sort_keys=True, separators=(",", ":")).encode())
    if run.sha256 != document.get("sha256"):
        raise Stop(4, "the payload is damaged: its checksum is wrong", REBUILD)
    with open(__file__, "rb") as file:
        if document.get("runner") != digest(file.read()):
            raise Stop(4, "this runner is damaged or not the one the payload was made for", REBUILD)
    body.setdefault("name", socket.gethostname().lower())
    run.body = body
    try:
        with open(run.root + STATE, encoding="utf-8") as file:
            state = json.load(file)
        if state["payload"] == run.sha256:
            run.done = state["done"]
    except FileNotFoundError:
        pass


def clock(run: Run) -> None:
    """Go on only while every certificate is valid."""
    for name, (_, end) in run.body["validity"].items():
        if time.time() > end:
            day = time.strftime("%Y-%m-%d", time.gmtime(end))
            raise Stop(
                2, f"certificate {name} expired on {day}", f"kgen certs renew {name.rsplit('.', 1)[0]}, {REBUILD}"
            )

    def probe() -> None:
        behind = max(start for start, end in run.body["validity"].values()) - time.time()
        if behind > 0:
            raise Pending(f"the clock is behind by {behind:.0f} s or more")

    wait(run, "the time", probe, hint="let the machine reach its time servers")


# Not part of the state: what is true at one boot need not be at the next.
EVERY_RUN = (("fetch", fetch), ("verify", verify), ("clock", clock))
