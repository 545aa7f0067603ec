"""The steps of a master."""

import json

from .api import MERGE, ask, connect, expect, get, node_path
from .base import Run, read, write
from .cri import runtime
from .files import files, stage
from .guard import etcd_guard
from .logs import watch
from .loop import EVERY_RUN, ONCE
from .machine import certificate, cleanup, done, finalized, kubelet, mend, system
from .payload import clock, fetch
from .preflight import addresses_free, installed, kernel, node_name, nothing_there, run_checks, swap
from .preflight_master import data_directory, firewall, images, size
from .publish import APISERVER, api, manifests, publish

# The checks of the step preflight.
CHECKS = (
    nothing_there,
    addresses_free,
    node_name,
    swap,
    installed,
    kernel,
    runtime,
    size,
    firewall,
    data_directory,
    images,
)


def preflight(run: Run) -> None:
    """Check the machine before anything is changed."""
    run_checks(run, CHECKS)


def healthy(run: Run, name: str, url: str) -> None:
    """Wait until a component answers at its health URL; its certificate may be its own."""
    link = connect(url)
    watch(run, name, f"{name} at {url}", lambda: get(link, url))


def etcd(run: Run) -> None:
    """Wait until etcd is healthy. The kubelet found its static pod when it started."""
    url = run.body["etcd"]["healthURL"]
    if url:
        healthy(run, "etcd", url)


def serves(run: Run, path: str) -> None:
    """Wait until kube-apiserver says at ``path`` that it is ready."""
    watch(run, APISERVER, f"{APISERVER} at {run.body['server']}", lambda: get(api(run), path))


def apiserver(run: Run) -> None:
    """Write the static pod of kube-apiserver unless etcd_guard has, and wait until it is ready except for its roles.

    The default roles take longest, and the super-admin needs none.
    """
    if run.body["etcd"]["others"]:
        stage(run, "apiserver")
    serves(run, "/readyz?exclude=poststarthook/rbac/bootstrap-roles")


def controllers(run: Run) -> None:
    """Start kube-controller-manager and kube-scheduler once kube-apiserver is ready: they wait only 10 s for it."""
    serves(run, "/readyz")
    stage(run, "controllers")


def controllers_healthy(run: Run) -> None:
    """Wait until kube-controller-manager and kube-scheduler are healthy."""
    for name, url in run.body["health"]:
        healthy(run, name, url)


def kubelet_finalize(run: Run) -> None:
    """Point kubelet.conf at the certificate that the kubelet renews by itself, as kubeadm does.

    kubeadm restarts the kubelet here. The running kubelet uses that certificate already.
    """
    certificate(run)
    path = run.root + "/etc/kubernetes/kubelet.conf"
    write(path, finalized(read(path)), 0o600)


def mark_node(run: Run) -> None:
    """Put annotations, labels and taints on this machine's Node, beside those that it has.

    A taint of the same key and effect is replaced, as kubeadm does. With the resourceVersion the API server refuses
    this write (409) if the Node changed meanwhile; then it is repeated.
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
    # Write certificates, kubeconfigs, configuration.
    (files, ONCE),
    # Load kernel modules, set kernel parameters.
    (system, ONCE),
    # If etcd may start here, write its static pod.
    (etcd_guard, ONCE),
    # Start the kubelet.
    (kubelet, EVERY_RUN),
    # Wait for etcd.
    (etcd, ONCE),
    # Start kube-apiserver and wait for it.
    (apiserver, ONCE),
    # Create kubeadm's objects.
    (publish, ONCE),
    # Start kube-controller-manager and kube-scheduler.
    (controllers, ONCE),
    # Wait for both.
    (controllers_healthy, ONCE),
    # Wait for the kubelet's certificate, point kubelet.conf at it.
    (kubelet_finalize, ONCE),
    # Label and taint this machine's Node.
    (mark_node, ONCE),
    # Empty the other copies of the secrets.
    (cleanup, EVERY_RUN),
    # Create the user's objects.
    (manifests, ONCE),
    # Record that this machine is done, remove the payload.
    (done, EVERY_RUN),
)
