"""The steps of a node."""

import re
import ssl
import sys
from typing import Any

from .api import ask, connect, get, refusal
from .base import Pending, Run, Stop, wait
from .files import pem, write_files
from .loop import main
from .machine import CURRENT, certificate, cleanup, finish, start_kubelet, system
from .payload import EVERY_RUN
from .preflight import preflight

# What OpenSSL says of the right CA: too early, too late, another host or address.
OTHER_FAULTS = (9, 10, 62, 64)


def wait_endpoint(run: Run) -> None:
    """Wait until the cluster's endpoint answers and takes the bootstrap token."""
    with open(run.root + "/etc/kubernetes/bootstrap-kubelet.conf", encoding="utf-8") as file:
        token = re.findall(r"\btoken: \"?([\w.]+)", file.read())[0]
    url = run.body["server"]
    link = connect(url, pem(run, "ca.crt"))

    def probe() -> None:
        try:
            status, data = ask(link, "GET", "/readyz", Authorization="Bearer " + token)
        except ssl.SSLCertVerificationError as error:
            if error.verify_code in OTHER_FAULTS:
                raise
            raise Stop(
                2,
                f"KgenClusterCA: {url} shows a certificate of another CA ({error.verify_message})",
                "check controlPlaneEndpoint, render with the cluster's own secrets bundle",
            )
        if status == 401:
            raise Pending("the bootstrap token has expired or is not published yet: kgen token renew revives it")
        if status != 200:
            raise Pending(refusal(status, data))

    wait(run, url, probe, 900, "are the masters up, is the endpoint reachable from here?")


def own_node(run: Run) -> Any:
    """Return the Node as this node itself may read it."""
    link = connect(run.body["server"], pem(run, "ca.crt"), (run.root + CURRENT,))
    return get(link, "/api/v1/nodes/" + run.body["name"])


def registered(run: Run) -> None:
    """Wait until the kubelet has registered the Node."""
    wait(run, "the Node " + run.body["name"], lambda: own_node(run))


def ready(run: Run) -> None:
    """Wait until the Node is Ready, or lacks nothing but a CNI plugin, which may come later."""

    def probe() -> None:
        node = own_node(run)
        for condition in node["status"].get("conditions", ()):
            if condition["type"] == "Ready":
                if condition["status"] == "True" or "NetworkReady=false" in condition["message"]:
                    print(f"node {run.body['name']}: Ready is {condition['status']}: {condition['message']}")
                    return
                raise Pending(condition["message"])
        raise Pending("the kubelet has not reported yet")

    wait(run, "the node to be Ready", probe)


# Name and action, in boot order. A name is state on disk: never rename one.
STEPS = (
    *EVERY_RUN,
    ("preflight", preflight),
    ("system", system),
    ("files", write_files),
    ("endpoint", wait_endpoint),
    ("kubelet", start_kubelet),
    ("certificate", certificate),
    ("registered", registered),
    ("ready", ready),
    ("cleanup", cleanup),
    ("done", finish),
)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], STEPS))
