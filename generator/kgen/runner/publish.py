"""Publishing: the first master creates every object once. An object that exists is never changed."""

import time
from typing import Any

from .api import ask, connect, expect, message, pair
from .base import Pending, Run, wait
from .files import b64, expand, pem
from .logs import watch

APISERVER = "kube-apiserver"


def api(run: Run) -> Any:
    """Return the connection to this master's API server with the super-admin's credential."""
    if not run.link:
        run.link = connect(run.body["server"], pem(run, "ca.crt"), pair(run, "super-admin"))
    return run.link


def create(run: Run, collection: str, body: Any) -> None:
    """Create one object unless it exists. Raise Pending with what the API server says against it."""
    kind, name = body["kind"], body["metadata"]["name"]
    status, text = ask(api(run), "POST", collection, body)
    # A 422 of an object that exists: a person has corrected it, or it is a Service whose address another master uses.
    if status in (201, 409) or (status == 422 and ask(api(run), "GET", f"{collection}/{name}")[0] == 200):
        return
    # The answer may quote the Secret.
    raise Pending(f"{kind} {name}: HTTP {status} " + ("" if kind == "Secret" else message(text)))


def create_all(run: Run, objects: Any) -> None:
    """Create these objects in order, unless the last of all objects exists: it says that publishing is over.

    An object that cannot be created does not keep the others from it, except that last one. What is created leaves
    ``objects``, so that the next attempt asks only for the rest.
    """
    last = run.body["objects"][-1]
    status, text = ask(api(run), "GET", f"{last[0]}/{last[1]['metadata']['name']}")
    if status != 404:
        expect(status, text)
        return
    problems: list[str] = []
    for each in list(objects):
        if problems and each is last:
            break
        collection, body, fill, ttl = each
        for keys, content in fill:
            place = body
            for key in keys[:-1]:
                place = place[key]
            place[keys[-1]] = expand(run, content)
        if ttl is not None:
            end = time.gmtime(time.time() + ttl)
            body["data"]["expiration"] = b64(time.strftime("%Y-%m-%dT%H:%M:%SZ", end))
        try:
            create(run, collection, body)
            objects.remove(each)
        except Pending as problem:
            problems.append(str(problem))
    if problems:
        raise Pending("; ".join(problems))


def publish(run: Run) -> None:
    """Create the objects that kubeadm would create."""
    objects = run.body["objects"]
    early = objects[: len(objects) - run.body["late"]]
    watch(run, APISERVER, "the objects", lambda: create_all(run, early))


def manifests(run: Run) -> None:
    """Create the user's objects, when all else is done: some may be refused for good.

    Without the controllers some are refused: a Pod before its ServiceAccount exists, or what a new quota counts.
    """
    objects = run.body["objects"]
    late = objects[len(objects) - run.body["late"] :]
    hint = "create what is refused, corrected: kubectl create -f"
    wait(run, "the manifests", lambda: create_all(run, late), hint=hint)
