"""Publishing: every object is created once, by whichever master is first; what exists is never changed."""

import base64
import copy
import os
import time
from typing import Any

from .api import ask, connect, refusal
from .base import Pending, Run, Stop, wait, write
from .files import expand, pem

CLIENT = "/run/kgen/client.pem"


def api(run: Run) -> Any:
    """Return the connection to this master's API server with the super-admin's credential.

    The credential is a file for a moment only: there is no other way into the TLS library.
    """
    if not run.api:
        path = run.root + CLIENT
        try:
            write(path, pem(run, "super-admin.crt") + pem(run, "super-admin.key"), 0o600)
            run.api = connect(run.body["server"], pem(run, "ca.crt"), (path,))
        finally:
            os.remove(path)
    return run.api


def complete(run: Run, body: Any, fill: Any, ttl: Any) -> Any:
    """Return the object as it is sent."""
    body = copy.deepcopy(body)
    for keys, content in fill:
        place = body
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = expand(run, content)
    if ttl is not None:
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ttl))
        body["data"]["expiration"] = base64.b64encode(end.encode()).decode()
    return body


def create(run: Run, collection: str, body: Any) -> None:
    """Create one object unless it exists."""
    kind, name = body["kind"], body["metadata"]["name"]

    def probe() -> None:
        status, data = ask(api(run), "POST", collection, body)
        if status in (200, 201, 409):
            return
        if status == 422 and kind == "Service":
            # Another master's request for the same address may still be on its way.
            status = ask(api(run), "GET", collection + "/" + name)[0]
            if status == 200:
                return
            raise Pending(f"HTTP {status} for Service {name}")
        # Of a Secret nothing is repeated, the answer may quote it.
        said = refusal(status, data) if kind != "Secret" else f"HTTP {status}"
        if status in (403, 404, 429) or status >= 500:
            raise Pending(said)
        raise Stop(
            1, f"the API server refuses {kind} {name}: {said}", "correct the cluster file, render again, rebuild"
        )

    wait(run, f"{run.body['server']} to take {kind} {name}", probe)


def publish(run: Run) -> None:
    """Create every object in order, the last one says that this is over; who finds that creates nothing."""
    objects = run.body["objects"]
    collection, last = objects[-1][:2]

    def probe() -> bool:
        status, data = ask(api(run), "GET", collection + "/" + last["metadata"]["name"])
        if status not in (200, 404):
            raise Pending(refusal(status, data))
        return bool(status == 200)

    if not wait(run, run.body["server"], probe):
        for where, body, fill, ttl in objects:
            create(run, where, complete(run, body, fill, ttl))
