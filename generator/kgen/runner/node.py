"""The steps of a node."""

import json
import os
import re
import sys
import time

from .answers import expect, node_path, trust
from .base import Pending, Run, Stop, read, wait
from .files import files, pem
from .loop import main
from .machine import CURRENT, certificate, cleanup, done, kubelet, system
from .once import ask
from .preflight import preflight

BOOTSTRAP = "/etc/kubernetes/bootstrap-kubelet.conf"


def endpoint(run: Run) -> None:
    """Wait until the cluster's endpoint answers, takes the bootstrap token, and has no Node of this name that is Ready.

    Two machines of one name would share the Node: ``kubeadm join`` refuses that, too. One that is gone stays Ready for
    less than a minute.
    """
    token = re.findall(r'token: "?([\w.]+)', read(run.root + BOOTSTRAP))[0]
    url = run.body["server"]
    context = trust(pem(run, "ca.crt"))

    def probe() -> None:
        try:
            status, said = ask(url, context, "GET", node_path(run), f"Authorization: Bearer {token}\r\n")
        except ValueError as error:
            # SSLCertVerificationError. Too early, too late, another host, another address: the CA is the right one.
            if error.__dict__["verify_code"] in (9, 10, 62, 64):
                raise
            raise Stop(
                2, f"KgenClusterCA: {url} shows another CA: {error}", "check controlPlaneEndpoint and the bundle"
            )
        if status == 401:
            raise Pending("the bootstrap token has expired, or is not there yet: kgen token renew cluster.yaml")
        if status != 404 and '"Ready","status":"True"' in expect(status, said):
            raise Pending(f"another machine is Node {run.body['name']} and Ready")

    wait(run, url, probe, 900, "are the masters up?")


def own(run: Run, method: str, body: str = "") -> str:
    """Ask for this machine's Node with the kubelet's own certificate, after a pause, and return what is said.

    On one processor every question takes its time from the start of the kubelet, which is what the answer waits for.
    """
    time.sleep(2)
    run.link = run.link or trust(pem(run, "ca.crt"), run.root + CURRENT)
    merge = "Content-Type: application/merge-patch+json\r\n"
    return expect(*ask(run.body["server"], run.link, method, node_path(run), merge, body))


def registered(run: Run) -> None:
    """Wait until the kubelet has registered the Node, and annotate it; then nothing needs the token any more."""
    body = json.dumps(run.body["node"])
    wait(run, "Node " + run.body["name"], lambda: own(run, "PATCH", body))
    if os.path.exists(run.root + BOOTSTRAP):
        os.remove(run.root + BOOTSTRAP)


def ready(run: Run) -> None:
    """Wait until the Node is Ready, or lacks nothing but a CNI plugin, which may come later."""

    def probe() -> None:
        for each in json.loads(own(run, "GET"))["status"].get("conditions", ()):
            if each["type"] == "Ready":
                if each["status"] == "True" or "NetworkReady=false" in each["message"]:
                    return
                raise Pending(each["message"])
        raise Pending("no conditions yet")

    wait(run, "Ready", probe)


# In boot order. A step's name is state on disk: never rename one.
STEPS = (
    preflight,
    files,
    system,
    endpoint,
    kubelet,
    certificate,
    registered,
    ready,
    cleanup,
    done,
)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], STEPS))
