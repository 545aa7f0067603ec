"""The machine around the cluster: kernel, kubelet, what is left behind."""

import glob
import json
import os
import socket

from .base import Pending, Run, Stop, wait, write
from .payload import PAYLOAD

CURRENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
DONE = "/var/lib/kgen/done"
# cloud-init's copies of the user-data, and of what it made of it. It takes an empty obj.pkl for none.
COPIES = (
    "/var/lib/cloud/instances/*/*.txt*",
    "/var/lib/cloud/instances/*/*.pkl",
    "/run/cloud-init/combined*",
    "/run/kgen/*.pem",
)


def system(run: Run) -> None:
    """Load kernel modules and set kernel parameters, as their files do at the next boot."""
    missing = [name for name in run.body["modules"] if not os.path.exists(f"{run.root}/sys/module/{name}")]
    if missing and os.system(f"modprobe -ad {run.root}/ " + " ".join(missing)):
        print("warning: no module", *missing)
    for name, value in run.body["sysctls"].items():
        try:
            with open(f"{run.root}/proc/sys/{name.replace('.', '/')}", "w") as file:
                file.write(value)
        except OSError as error:
            if "bridge" not in name:
                raise Stop(2, f"cannot set sysctl {name}: {error}", "allow it")
            print("warning:", error)


def systemctl(run: Run, verb: str) -> None:
    """``start`` (at every boot, too) or ``restart`` the kubelet."""
    if os.system(f"{run.kubelet} {verb}" if run.kubelet else f"systemctl enable kubelet; systemctl {verb} kubelet"):
        raise Stop(1, f"cannot {verb} the kubelet", "see journalctl -u kubelet")


def kubelet(run: Run) -> None:
    """Start the kubelet; its files are in place."""
    systemctl(run, "start")


def certificate(run: Run) -> None:
    """Wait until the kubelet's certificate request has been approved and signed."""

    def probe() -> None:
        if not os.path.lexists(run.root + CURRENT):
            raise Pending("kubectl get csr")

    wait(run, "the kubelet's certificate", probe, 300)


def cleanup(run: Run) -> None:
    """Leave no other copy of the secrets behind."""
    for pattern in COPIES:
        for path in glob.glob(run.root + pattern):
            os.chmod(path, 0o600)
            os.truncate(path, 0)


def done(run: Run) -> None:
    """Record what this machine is; then the payload goes."""
    write(run.root + DONE, json.dumps({"payload": run.sha256, "hostname": socket.gethostname()}))
    os.remove(run.root + PAYLOAD)
