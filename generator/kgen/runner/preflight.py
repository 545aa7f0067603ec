"""Checks before anything is changed. kubeadm's keep their names; ours begin with Kgen."""

import os
import re
import socket
from typing import Any

from .base import Run, Stop


def listen(host: str, port: int) -> Any:
    """Return a socket that listens there."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def privileged(run: Run) -> Any:
    """Only root can do what follows."""
    if os.geteuid():
        yield "IsPrivilegedUser", "not root"


def nothing_there(run: Run) -> Any:
    """Static pods and kubeconfigs of another cluster would be overwritten; our own come after this step."""
    for path, *_ in run.body["files"]:
        if re.match("/etc/kubernetes/(?!pki)", path) and os.path.exists(run.root + path):
            yield "FileAvailable-" + path.replace("/", "-"), path + " exists"


def addresses_free(run: Run) -> Any:
    """A listener on any address stops a component; certificates and arguments name the machine's own addresses."""
    wanted = [(f"Port-{port}", "", port) for port in run.body["ports"]]
    for name, host, port in wanted + [("KgenAddress", host, 0) for host in run.body["addresses"]]:
        try:
            listen(host, port).close()
        except OSError as error:
            yield name, f"{host}: {error}"


def node_name(run: Run) -> Any:
    """The kubelet registers under the hostname unless its arguments say otherwise."""
    host = socket.gethostname().lower()
    name = run.body["name"]
    if host != name and "--hostname-override" not in str(run.body["files"]):
        yield "KgenNodeName", f"hostname is {host}, not {name}"


CHECKS = (privileged, nothing_there, addresses_free, node_name)


def preflight(run: Run) -> None:
    """Report every finding; stop when one is an error that is not ignored."""
    errors = []
    for check in CHECKS:
        for name, finding in check(run):
            line = f"{name}: {finding}"
            if {"all", name.lower()} & {*run.body["ignorePreflightErrors"]}:
                print("warning", line)
            else:
                errors.append(line)
    if errors:
        raise Stop(2, "; ".join(errors), "repair, or set ignorePreflightErrors")
