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
        yield "IsPrivilegedUser", "not run as root"


def nothing_there(run: Run) -> Any:
    """Static pods and kubeconfigs of another cluster would be overwritten; our own come after this step."""
    for path, *_ in run.body["files"]:
        if re.match("/etc/kubernetes/(?!pki)", path) and os.path.exists(run.root + path):
            yield "FileAvailable-" + path.replace("/", "-"), path + " exists"


def ports_free(run: Run) -> Any:
    """A listener on any address stops a component."""
    for port in run.body["ports"]:
        try:
            listen("", port).close()
        except OSError as error:
            yield f"Port-{port}", error


def has_addresses(run: Run) -> Any:
    """Certificates and arguments name these addresses."""
    for address in run.body["addresses"]:
        try:
            listen(address, 0).close()
        except OSError as error:
            yield "KgenAddress", f"{address}: {error}"


def node_name(run: Run) -> Any:
    """The kubelet registers under the hostname unless its arguments say otherwise."""
    host = socket.gethostname().lower()
    name = run.body["name"]
    if host != name and "--hostname-override" not in str(run.body["files"]):
        yield "KgenNodeName", f"hostname is {host}, not {name}"
    if not re.fullmatch("(?!localhost$)[a-z0-9][a-z0-9.-]*", name):
        yield "KgenNodeName", name + " cannot name a Node"


# Check and whether it is an error (else a warning).
CHECKS = (
    (privileged, True),
    (nothing_there, True),
    (ports_free, True),
    (has_addresses, True),
    (node_name, True),
)


def preflight(run: Run) -> None:
    """Report every finding; stop when one is an error that is not ignored."""
    errors = []
    for check, is_error in CHECKS:
        for name, finding in check(run):
            line = f"{name}: {finding}"
            if is_error and not {"all", name.lower()} & {*run.body["ignorePreflightErrors"]}:
                errors.append(line)
            else:
                print("warning", line)
    if errors:
        raise Stop(2, "; ".join(errors), "repair, or list in ignorePreflightErrors")
