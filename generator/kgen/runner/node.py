"""The steps of a node."""

import json
import os
import re
import ssl
import time

from .api import MERGE, ask, connect, expect, node_path
from .base import PERSON_MUST_ACT, Pending, Run, Stop, read, wait
from .cri import runtime
from .files import files, pem
from .loop import EVERY_RUN, ONCE
from .machine import CURRENT, certificate, cleanup, done, kubelet, mend, system
from .payload import clock, fetch
from .preflight import addresses_free, installed, kernel, node_name, nothing_there, run_checks, swap

BOOTSTRAP = "/etc/kubernetes/bootstrap-kubelet.conf"
# OpenSSL's codes of problems that time or another address solves: the certificate is of the right CA, but not valid
# yet, expired, or not for this host or this address.
RIGHT_CA = (9, 10, 62, 64)
# The checks of the step preflight.
CHECKS = (
    nothing_there,
    addresses_free,
    node_name,
    swap,
    installed,
    kernel,
    runtime,
)


def preflight(run: Run) -> None:
    """Check the machine before anything is changed."""
    run_checks(run, CHECKS)


def endpoint(run: Run) -> None:
    """Wait until the cluster's endpoint answers, takes the bootstrap token, and has no Node of this name that is Ready.

    Two machines of one name would share the Node; ``kubeadm join`` refuses that, too. The Node of a machine that is
    gone stays Ready for less than a minute.

    A static pod may be the way to the endpoint: then the kubelet starts first, and the Ready Node may be its own.
    """
    has_pods = any("/manifests/" in path for path, _, _, _ in run.body["files"])
    if has_pods:
        kubelet(run)
    token = re.findall(r'token: "?([\w.]+)', read(run.root + BOOTSTRAP))[0]
    url = run.body["server"]
    link = connect(url, pem(run, "ca.crt"))

    def probe() -> None:
        try:
            status, text = ask(link, "GET", node_path(run), headers={"Authorization": "Bearer " + token})
        except ssl.SSLCertVerificationError as error:
            if error.verify_code in RIGHT_CA:
                raise
            raise Stop(
                PERSON_MUST_ACT,
                f"KgenClusterCA: {url} shows a certificate of another CA: {error}",
                "check controlPlaneEndpoint and the bundle",
            )
        if status == 401:
            raise Pending("the bootstrap token has expired, or is not there yet: kgen token renew cluster.yaml")
        if status != 404 and '"Ready","status":"True"' in expect(status, text) and not has_pods:
            raise Pending(f"another machine is Node {run.body['name']} and Ready")

    wait(run, url, probe, 900, "are the masters up?")
    link.close()


def ask_own_node(run: Run, method: str, body: object = None) -> str:
    """Ask for this machine's Node with the kubelet's own certificate, after a pause, and return the answer.

    The pause leaves a single processor to the kubelet, whose start is what the answer waits for.
    """
    time.sleep(2)
    run.link = run.link or connect(run.body["server"], pem(run, "ca.crt"), run.root + CURRENT)
    return expect(*ask(run.link, method, node_path(run), body, MERGE))


def registered(run: Run) -> None:
    """Wait until the kubelet has registered the Node, and annotate it. Then remove the token: nothing needs it now."""
    wait(run, "Node " + run.body["name"], lambda: ask_own_node(run, "PATCH", run.body["node"]))
    if os.path.exists(run.root + BOOTSTRAP):
        os.remove(run.root + BOOTSTRAP)


def ready(run: Run) -> None:
    """Wait until the Node is Ready, or lacks nothing but a CNI plugin, which may come later."""

    def probe() -> None:
        for each in json.loads(ask_own_node(run, "GET"))["status"].get("conditions", ()):
            if each["type"] == "Ready":
                if each["status"] == "True" or "NetworkReady=false" in each["message"]:
                    return
                raise Pending(each["message"])
        raise Pending("no conditions yet")

    wait(run, "Ready", probe)


# The steps in the order in which they run. A step's name is in state.json on disk: never rename a step.
STEPS = (
    # Read the payload from cloud-init, check its checksum.
    (fetch, EVERY_RUN),
    # Wait until every certificate is valid.
    (clock, EVERY_RUN),
    # Remove certificates that a power cut left empty.
    (mend, EVERY_RUN),
    # Check the machine. Stop what an earlier payload has started.
    (preflight, ONCE),
    # Write the cluster's CA and the kubelet's files.
    (files, ONCE),
    # Load kernel modules, set kernel parameters.
    (system, ONCE),
    # Wait until the cluster answers and takes the bootstrap token.
    (endpoint, ONCE),
    # Start the kubelet.
    (kubelet, EVERY_RUN),
    # Wait until the kubelet has its client certificate.
    (certificate, ONCE),
    # Wait until the kubelet has registered the Node; remove the bootstrap token.
    (registered, ONCE),
    # Wait until the Node is Ready, or lacks only a CNI plugin.
    (ready, ONCE),
    # Empty the other copies of the secrets.
    (cleanup, ONCE),
    # Record that this machine is done, remove the payload.
    (done, EVERY_RUN),
)
