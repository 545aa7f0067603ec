"""Restarting static pods and the kubelet on a running machine, for `kgen apply`."""

import contextlib
import glob
import os
import re
import signal
from typing import Any

from .api import connect, get
from .base import FAILED, Pending, Run, Stop, read, wait
from .copies import copy_of, replace_file
from .logs import watch
from .payload import CA
from .publish import APISERVER, api

MANIFESTS = "/etc/kubernetes/manifests/"
KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
BOOTSTRAP_CONF = "/etc/kubernetes/bootstrap-kubelet.conf"
KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"
PROXY = "/etc/kgen/proxy.env"


def components(run: Run) -> Any:
    """Return name, health URL and probe of each static pod of a master, in the order in which they are restarted."""
    if "etcd" not in run.body:
        return []

    def probe_of(url: str) -> Any:
        return lambda: get(connect(url), "/" + url.split("/", 3)[3])

    found = [
        ("etcd", run.body["etcd"]["healthURL"], probe_of(run.body["etcd"]["healthURL"])),
        (APISERVER, run.body["server"], lambda: get(api(run), "/readyz")),
        *((name, url, probe_of(url)) for name, url in run.body["health"]),
    ]
    # Without a quorum none of them gets healthy.
    return found if run.body["hasQuorum"] else [(name, url, lambda: None) for name, url, _ in found]


def words_of(text: str) -> Any:
    """Return the texts of the lists in a manifest, or of a command line, without quotes and escapes."""
    return {re.sub(r"[\\\"']", "", word) for word in re.findall(r"^(?: *- )?([^\0\n]+)", text, re.M)}


def processes(run: Run, name: str, manifests: str) -> Any:
    """Return the directories in /proc of a static pod's processes, by the command line in one of the manifests."""
    words = words_of(manifests)
    for path in glob.glob(run.root + "/proc/[0-9]*/cmdline"):
        # A process may end meanwhile.
        with contextlib.suppress(OSError):
            command = read(path).strip("\0").replace("\0", "\n")
            if command.startswith(name + "\n") and words_of(command) <= words:
                yield os.path.dirname(path)


def restart_pod(run: Run, name: str, url: str, probe: Any, mode: int, manifest: str) -> None:
    """Restart a static pod with this manifest. The kubelet replaces a pod whose manifest changes.

    If the manifest stays, end the process: the kubelet starts it again. The manifest never goes away, because a kubelet
    under load may not see that it went and came back.
    """
    path = f"{MANIFESTS}{name}.yaml"
    print(f"kgen: restarting {name}")
    before = read(run.root + path) if os.path.exists(run.root + path) else ""
    known = [before, manifest] + ([read(copy_of(run, path))] if os.path.exists(copy_of(run, path)) else [])
    old = list(processes(run, name, "\n".join(known)))
    replace_file(run, path, mode, manifest)
    if not old:
        # The kubelet pauses up to five minutes before it starts a container that ended again and again.
        systemctl(run, "restart kubelet")
    elif manifest == before:
        for process in old:
            os.kill(int(os.path.basename(process)), signal.SIGTERM)

    def stopped() -> None:
        if any(map(os.path.exists, old)):
            raise Pending("it still runs")

    wait(run, f"{name} to stop", stopped)
    # This connection led to the process that has stopped.
    run.link = None
    watch(run, name, f"{name} at {url}", probe)


def kubelet_health(run: Run) -> None:
    """Raise an OSError unless the kubelet answers at the health address of its configuration."""
    values = dict(re.findall(r'^(healthzPort|healthzBindAddress): "?([^\s"]+)', read(run.root + KUBELET_CONFIG), re.M))
    host = values.get("healthzBindAddress", "127.0.0.1")
    port = values.get("healthzPort", "10248")
    if port != "0":
        get(connect(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"), "/healthz")


def systemctl(run: Run, words: str) -> None:
    """Call systemctl, and stop if it fails."""
    if os.system(f"{run.kubelet} {words}"):
        raise Stop(FAILED, f"systemctl {words} failed", "see journalctl -u " + words.split()[-1])


def restart_kubelet(run: Run, paths: Any) -> None:
    """Restart the kubelet, and before it what else reads a changed file."""
    print("kgen: restarting kubelet")
    words = ["daemon-reload"] if any(path.startswith("/etc/systemd/") for path in paths) else []
    words += ["restart containerd"] if any("/containerd.service.d/" in path or path == PROXY for path in paths) else []
    for each in [*words, "restart kubelet"]:
        systemctl(run, each)
    wait(run, "kubelet", lambda: kubelet_health(run))


def is_the_kubelets(path: str) -> bool:
    """Return whether the kubelet reads the file when it starts."""
    return path.startswith(("/var/lib/kubelet/", "/etc/systemd/")) or path in (KUBELET_CONF, BOOTSTRAP_CONF, CA, PROXY)
