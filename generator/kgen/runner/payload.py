"""The payload: what kgen rendered for this machine. It is read and checked at every run."""

import hashlib
import json
import os
import socket
import time

from .base import PAYLOAD_UNUSABLE, PERSON_MUST_ACT, Pending, Run, Stop, load, read, wait
from .files import pem

STATE = "/var/lib/kgen/state.json"
PAYLOAD = "/etc/kgen/payload.json"
CA = "/etc/kubernetes/pki/ca.crt"
RENDER_AGAIN = "run kgen render, then boot this machine with the new user-data"
# The formats of payload.json that this program takes.
FORMATS = (2, 3)


def fetch(run: Run) -> None:
    """Read the payload that cloud-init delivered."""
    if not os.path.exists(run.root + PAYLOAD):
        raise Stop(PAYLOAD_UNUSABLE, f"{PAYLOAD} is missing", "see cloud-init status --long; " + RENDER_AGAIN)
    take(run, read(run.root + PAYLOAD))


def take(run: Run, text: str) -> None:
    """Take a payload only if this program knows its format and its checksum is right; load the state of its steps."""
    try:
        document = json.loads(text)
        found = document["format"]
        run.body = document["body"]
        run.sha256 = hashlib.sha256(json.dumps(run.body, sort_keys=True).encode()).hexdigest()
        is_whole = run.sha256 == document["sha256"]
    except (ValueError, KeyError, TypeError):
        found, is_whole = FORMATS[0], False
    if found not in FORMATS:
        error = f"the payload has format {found}, this program takes {' or '.join(map(str, FORMATS))}"
        hint = "make a new image with kgen bake, or render with the kgen that made this one"
        raise Stop(PAYLOAD_UNUSABLE, error, hint)
    if not is_whole:
        raise Stop(PAYLOAD_UNUSABLE, "the payload is damaged", RENDER_AGAIN)
    run.body.setdefault("name", socket.gethostname().lower())
    states = load(run.root + STATE)
    run.finished = states.get(run.sha256, {})
    path = run.root + CA
    is_same_cluster = not os.path.exists(path) or read(path) == pem(run, "ca.crt")
    run.replaces = bool(states) and not run.finished and is_same_cluster


def clock(run: Run) -> None:
    """Go on only while every certificate of the payload is valid."""

    def probe() -> None:
        for name, (start, end) in run.body["validity"].items():
            if time.time() > end:
                way = f"kgen certs renew cluster.yaml {name[:-4]}"
                if name.endswith("ca.crt"):
                    way = "a CA is not renewed: kgen render --new-cluster cluster.yaml"
                error = f"certificate {name} expired {time.ctime(end)}"
                raise Stop(PERSON_MUST_ACT, error, f"{way}, then {RENDER_AGAIN}")
            if time.time() < start:
                raise Pending(f"the clock is behind: {name} is valid from {time.ctime(start)}")

    wait(run, "the time", probe, hint="check the clock: timedatectl")
