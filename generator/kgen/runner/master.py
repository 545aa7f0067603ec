"""The steps of a master."""

import json
import re
import sys

from .answers import expect, node_path
from .api import MERGE, ask, connect, get
from .base import Run, read, write
from .files import files, stage
from .guard import etcd_guard
from .logs import watch
from .loop import main
from .machine import CURRENT, certificate, cleanup, done, kubelet, system
from .preflight import preflight
from .publish import APISERVER, api, manifests, publish


def healthy(run: Run, name: str, url: str) -> None:
    """Wait until a component answers at its health URL; its certificate may be its own."""
    link = connect(url)
    watch(run, name, f"{name} at {url}", lambda: get(link, url))


def etcd(run: Run) -> None:
    """Wait until etcd is ready; the kubelet found its static pod when it started."""
    healthy(run, "etcd", run.body["etcd"]["healthURL"])


def serves(run: Run, path: str) -> None:
    """Wait until kube-apiserver says at ``path`` that it is ready."""
    watch(run, APISERVER, f"{APISERVER} at {run.body['server']}", lambda: get(api(run), path))


def apiserver(run: Run) -> None:
    """Start kube-apiserver, unless it was with etcd, and wait until it is ready but for its default roles.

    They take longest, and the super-admin needs none.
    """
    if run.body["etcd"]["others"]:
        stage(run, "apiserver")
    serves(run, "/readyz?exclude=poststarthook/rbac/bootstrap-roles")


def controllers(run: Run) -> None:
    """Start kube-controller-manager and kube-scheduler once kube-apiserver is ready: they give up on it after 10 s."""
    serves(run, "/readyz")
    stage(run, "controllers")


def controllers_healthy(run: Run) -> None:
    """Wait for both."""
    for name, url in run.body["health"]:
        healthy(run, name, url)


def kubelet_finalize(run: Run) -> None:
    """Point kubelet.conf at the certificate that the kubelet renews by itself, as kubeadm does.

    The running kubelet uses it already: its certificate manager hands each new one to its connections.
    """
    certificate(run)
    path = run.root + "/etc/kubernetes/kubelet.conf"
    write(path, re.sub("(client-.*)-data: .*", r"\1: " + CURRENT, read(path)), 0o600)


def mark_node(run: Run) -> None:
    """Put the master's annotations, labels and taints on its Node, beside what is there already.

    A taint of the same key and effect is replaced, as kubeadm does. A write in between makes this one fail: 409.
    """
    path = node_path(run)
    ours = run.body["node"]
    taints = ours["spec"]["taints"]
    keys = [(taint["key"], taint["effect"]) for taint in taints]

    def probe() -> None:
        node = json.loads(get(api(run), path))
        there = [taint for taint in node["spec"].get("taints", []) if (taint["key"], taint["effect"]) not in keys]
        metadata = {**ours["metadata"], "resourceVersion": node["metadata"]["resourceVersion"]}
        body = {"metadata": metadata, "spec": {"taints": there + taints}}
        expect(*ask(api(run), "PATCH", path, body, MERGE))

    watch(run, APISERVER, "Node " + run.body["name"], probe)


# In boot order. A step's name is state on disk: never rename one.
STEPS = (
    preflight,
    files,
    system,
    etcd_guard,
    kubelet,
    etcd,
    apiserver,
    publish,
    controllers,
    manifests,
    controllers_healthy,
    kubelet_finalize,
    mark_node,
    cleanup,
    done,
)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], STEPS))
