"""The steps of a master."""

import json
import re
import sys
from typing import Any

from .api import ask, connect, expect, get
from .base import Run, read, wait, write
from .files import files, stage
from .guard import etcd_guard, write_etcd
from .loop import main
from .machine import CURRENT, certificate, cleanup, done, kubelet, system, systemctl
from .preflight import preflight
from .publish import api, publish


def healthy(run: Run, name: str, url: str) -> None:
    """Wait until a component answers at its health URL; its certificate may be its own."""
    wait(run, f"{name} at {url}", lambda: get(connect(run, url, ""), url))


def etcd(run: Run) -> None:
    """Start etcd and wait until it is ready."""
    write_etcd(run)
    healthy(run, "etcd", run.body["etcd"]["healthURL"])


def apiserver(run: Run) -> None:
    """Start kube-apiserver and wait until it is ready."""
    stage(run, "apiserver")
    wait(run, "kube-apiserver at " + run.body["server"], lambda: get(api(run), "/readyz"))


def controllers(run: Run) -> None:
    """Start kube-controller-manager and kube-scheduler; publishing does not need them."""
    stage(run, "controllers")


def controllers_healthy(run: Run) -> None:
    """Wait for both."""
    for name, url in run.body["health"]:
        healthy(run, name, url)


def kubelet_finalize(run: Run) -> None:
    """Point kubelet.conf at the certificate that the kubelet renews by itself, as kubeadm does."""
    certificate(run)
    path = run.root + "/etc/kubernetes/kubelet.conf"
    write(path, re.sub("(client-.*)-data: .*", r"\1: " + CURRENT, read(path)), 0o600)
    systemctl(run, "restart")


def mark_node(run: Run) -> None:
    """Put the master's labels and taints on its Node, beside what is there already."""
    path = "/api/v1/nodes/" + run.body["name"]
    labels, taints = run.body["node"].values()

    def probe() -> None:
        node = json.loads(get(api(run), path))
        there = node["spec"].get("taints", [])
        body: Any = {
            "metadata": {"labels": labels, "resourceVersion": node["metadata"]["resourceVersion"]},
            "spec": {"taints": there + [taint for taint in taints if taint not in there]},
        }
        expect(*ask(api(run), "PATCH", path, body, {"Content-Type": "application/merge-patch+json"}))

    wait(run, "Node " + run.body["name"], probe)


# In boot order. A step's name is state on disk: never rename one.
STEPS = (
    preflight,
    system,
    files,
    etcd_guard,
    kubelet,
    etcd,
    apiserver,
    controllers,
    publish,
    controllers_healthy,
    kubelet_finalize,
    mark_node,
    cleanup,
    done,
)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], STEPS))
