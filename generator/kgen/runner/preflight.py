"""Checks before anything is changed. kubeadm's keep their names; ours begin with Kgen."""

import os
import re
import socket
from typing import Any, Iterator

from .base import Run, Stop


def privileged(run: Run) -> Iterator[Any]:
    """Only root can do what follows."""
    if os.geteuid():
        yield "IsPrivilegedUser", "the runner is not root"


def files_absent(run: Run) -> Iterator[Any]:
    """Static pods and kubeconfigs of another cluster would be overwritten; our own come after this step."""
    for path, *_ in run.body["files"]:
        if path.startswith("/etc/kubernetes/") and "/pki/" not in path and os.path.exists(run.root + path):
            yield "FileAvailable-" + path.replace("/", "-"), path + " exists already"


def ports_free(run: Run) -> Iterator[Any]:
    """A listener on any address would stop a component."""
    for port in run.body["ports"]:
        try:
            socket.create_server(("", port)).close()
        except OSError as error:
            yield f"Port-{port}", f"port {port} cannot be used: {error.strerror}"


def has_addresses(run: Run) -> Iterator[Any]:
    """Certificates and arguments name these addresses."""
    for address in run.body["addresses"]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.bind((address, 0))
        except OSError:
            yield "KgenAddress", f"this machine does not have the address {address}"


def node_name(run: Run) -> Iterator[Any]:
    """The kubelet registers under the hostname unless its arguments say otherwise."""
    host = socket.gethostname().lower()
    name = run.body["name"]
    if host != name and "--hostname-override" not in str(run.body["files"]):
        yield "KgenNodeName", f"the hostname is {host}, not {name}"
    if name == "localhost" or not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name):
        yield "KgenNodeName", f"{name} cannot be the name of a Node"


# Check and whether it is an error (else a warning).
CHECKS = (
    (privileged, True),
    (files_absent, True),
    (ports_free, True),
    (has_addresses, True),
    (node_name, True),
)


def preflight(run: Run) -> None:
    """Report every finding; stop when one is an error that is not ignored."""
    ignored = run.body["ignorePreflightErrors"]
    errors = []
    for check, is_error in CHECKS:
        for name, finding in check(run):
            line = f"{name}: {finding}"
            if is_error and name.lower() not in ignored and "all" not in ignored:
                errors.append(line)
            else:
                print("warning " + line)
    if errors:
        raise Stop(2, "; ".join(errors), "repair the machine, or list names in ignorePreflightErrors")
