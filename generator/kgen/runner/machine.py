"""The machine around the cluster: kernel, kubelet, what is left behind."""

import glob
import json
import os
import shlex
import socket
import subprocess

from .base import Pending, Run, Stop, wait, write
from .payload import PAYLOAD

CURRENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
DONE = "/var/lib/kgen/done"
# cloud-init's copies of the user-data, and of what it made of it.
COPIES = (
    "/var/lib/cloud/instances/*/user-data.txt*",
    "/var/lib/cloud/instances/*/cloud-config.txt",
    "/run/cloud-init/combined-cloud-config.json",
)
PICKLES = "/var/lib/cloud/instances/*/obj.pkl"


def command(*words: str) -> str:
    """Run a program; return its last words when it fails, else nothing."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError as error:
        return str(error)
    return done.stdout.strip()[-300:] or "failed" if done.returncode else ""


def system(run: Run) -> None:
    """Load kernel modules and set kernel parameters, as their files do at the next boot."""
    for module in run.body["modules"]:
        if not os.path.exists(f"{run.root}/sys/module/{module}"):
            error = command("modprobe", "-d", run.root + "/", module)
            if error:
                print(f"warning: no kernel module {module}: {error}")
    for name, value in run.body["sysctls"].items():
        try:
            with open(f"{run.root}/proc/sys/" + name.replace(".", "/"), "w") as file:
                file.write(value)
        except OSError as error:
            if not name.startswith("net.bridge."):
                raise Stop(2, f"sysctl {name} cannot be set to {value}: {error.strerror}", "allow it on this machine")
            print(f"warning: no sysctl {name}: {error.strerror}")


def kubelet(run: Run, verb: str) -> None:
    """Start (now and at every boot) or restart the kubelet."""
    words = [*shlex.split(run.kubelet), verb]
    if not run.kubelet:
        words = (
            ["systemctl", "restart", "kubelet"] if verb == "restart" else ["systemctl", "enable", "--now", "kubelet"]
        )
    error = command(*words)
    if error:
        raise Stop(1, f"cannot {verb} the kubelet: {error}", "see journalctl -u kubelet")


def start_kubelet(run: Run) -> None:
    """Start the kubelet; its files are in place."""
    kubelet(run, "start")


def certificate(run: Run) -> None:
    """Wait until the kubelet's certificate request has been approved and signed."""

    def probe() -> None:
        if not os.path.lexists(run.root + CURRENT):
            raise Pending("no certificate yet, see kubectl get csr")

    wait(run, "the kubelet's client certificate", probe, 300)


def cleanup(run: Run) -> None:
    """Leave no other copy of the secrets behind."""
    for pattern in COPIES:
        for path in glob.glob(run.root + pattern):
            os.chmod(path, 0o600)
            os.truncate(path, 0)
    for path in glob.glob(run.root + PICKLES):
        os.remove(path)


def finish(run: Run) -> None:
    """Record what this machine is; then the payload goes."""
    write(run.root + DONE, json.dumps({"payload": run.sha256, "hostname": socket.gethostname()}))
    os.remove(run.root + PAYLOAD)
