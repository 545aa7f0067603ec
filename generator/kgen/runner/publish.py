"""Publishing: every object is created once, by whichever master is first; what exists is never changed."""

import time
from typing import Any

from .answers import expect
from .api import ask, connect, pair
from .base import Run, Stop
from .files import b64, expand, pem
from .logs import watch

APISERVER = "kube-apiserver"


def api(run: Run) -> Any:
    """Return the connection to this master's API server with the super-admin's credential."""
    if not run.link:
        run.link = connect(run.body["server"], pem(run, "ca.crt"), pair(run, "super-admin"))
    return run.link


def create(run: Run, collection: str, body: Any) -> None:
    """Create one object unless it exists."""
    kind, name = body["kind"], body["metadata"]["name"]

    def probe() -> None:
        status, said = ask(api(run), "POST", collection, body)
        if status == 422 and kind == "Service":
            # Another master may have been given its address a moment ago.
            status = ask(api(run), "GET", collection + "/" + name)[0]
        if status in (201, 200, 409):
            return
        if kind == "Secret":
            # The answer may quote it.
            said = ""
        if status < 500 and status not in (403, 404, 429):
            raise Stop(1, f"{kind} {name} is refused: HTTP {status} {said}", "kubectl create it as it should be")
        expect(status, said)

    watch(run, APISERVER, f"{kind} {name}", probe)


def create_all(run: Run, objects: Any) -> None:
    """Create these in order. The last of all objects says that this is over: who finds that creates nothing."""
    collection, last = run.body["objects"][-1][:2]

    def probe() -> Any:
        status, said = ask(api(run), "GET", collection + "/" + last["metadata"]["name"])
        return status == 404 or not expect(status, said)

    if objects and watch(run, APISERVER, run.body["server"], probe):
        for collection, body, fill, ttl in objects:
            for keys, content in fill:
                place = body
                for key in keys[:-1]:
                    place = place[key]
                place[keys[-1]] = expand(run, content)
            if ttl is not None:
                end = time.gmtime(time.time() + ttl)
                body["data"]["expiration"] = b64(time.strftime("%Y-%m-%dT%H:%M:%SZ", end))
            create(run, collection, body)


def publish(run: Run) -> None:
    """Create what kubeadm would, and say that this is over unless the user has manifests."""
    objects = run.body["objects"]
    create_all(run, objects[: len(objects) - run.body["late"]])


def manifests(run: Run) -> None:
    """Create the user's objects, and say that this is over.

    Some are refused until the controllers run: a Pod before its ServiceAccount is there, what a new quota counts. And
    one that is refused for good must not keep the controllers away.
    """
    objects = run.body["objects"]
    create_all(run, objects[len(objects) - run.body["late"] :])
