"""The steps of a master."""

import re
import sys
from typing import Any

from .api import ask, connect, get, refusal
from .base import Pending, Run, wait, write
from .files import stage, write_files
from .guard import etcd_guard, write_etcd
from .loop import main
from .machine import CURRENT, certificate, cleanup, finish, kubelet, start_kubelet, system
from .payload import EVERY_RUN
from .preflight import preflight
from .publish import api, publish


def healthy(run: Run, name: str, url: str) -> None:
    """Wait until a component answers at its health URL; its certificate may be its own."""
    wait(run, f"{name} at {url}", lambda: get(connect(url), "/" + url.split("/", 3)[3]))


def start_etcd(run: Run) -> None:
    """Start etcd and wait until it is ready."""
    write_etcd(run)
    healthy(run, "etcd", run.body["etcd"]["healthURL"])


def start_apiserver(run: Run) -> None:
    """Start kube-apiserver and wait until it is ready."""
    stage(run, "apiserver")
    wait(run, "kube-apiserver at " + run.body["server"] + "/readyz", lambda: get(api(run), "/readyz"))


def start_controllers(run: Run) -> None:
    """Start kube-controller-manager and kube-scheduler; publishing does not need them."""
    stage(run, "controllers")


def controllers_healthy(run: Run) -> None:
    """Wait for both."""
    for name, url in run.body["health"]:
        healthy(run, name, url)


def finalize_kubelet(run: Run) -> None:
    """Point kubelet.conf at the certificate that the kubelet renews by itself, as kubeadm does."""
    certificate(run)
    path = run.root + "/etc/kubernetes/kubelet.conf"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    write(path, re.sub("(client-certificate|client-key)-data: .*", r"\1: " + CURRENT, text), 0o600)
    kubelet(run, "restart")


def mark_node(run: Run) -> None:
    """Put the master's labels and taints on its Node, beside what is there already."""
    path = "/api/v1/nodes/" + run.body["name"]
    labels, taints = run.body["node"]["labels"], run.body["node"]["taints"]

    def probe() -> None:
        node = get(api(run), path)
        meta = node["metadata"]
        merged = node["spec"].get("taints", [])
        ours = [(taint["key"], taint["effect"]) for taint in taints]
        merged = [taint for taint in merged if (taint["key"], taint["effect"]) not in ours] + taints
        body: Any = {
            "metadata": {"labels": labels, "resourceVersion": meta["resourceVersion"]},
            "spec": {"taints": merged},
        }
        status, data = ask(api(run), "PATCH", path, body, Content_Type="application/merge-patch+json")
        if status != 200:
            raise Pending(refusal(status, data))

    wait(run, "the Node " + run.body["name"], probe)


# Name and action, in boot order. A name is state on disk: never rename one.
STEPS = (
    *EVERY_RUN,
    ("preflight", preflight),
    ("system", system),
    ("files", write_files),
    ("etcd-guard", etcd_guard),
    ("kubelet", start_kubelet),
    ("etcd", start_etcd),
    ("apiserver", start_apiserver),
    ("controllers", start_controllers),
    ("publish", publish),
    ("controllers-healthy", controllers_healthy),
    ("kubelet-finalize", finalize_kubelet),
    ("mark-node", mark_node),
    ("cleanup", cleanup),
    ("done", finish),
)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], STEPS))
