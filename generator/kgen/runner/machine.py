"""The machine around the cluster: kernel, kubelet, what is left behind."""

import glob
import json
import os
import re
import socket

from .base import Pending, Run, Stop, load, read, wait, write
from .payload import PAYLOAD

CURRENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
DONE = "/var/lib/kgen/done"
# First a credential of the runner's own, then cloud-init's copies of the user-data, and what it made of it. An empty
# .pkl is none to the next boot.
COPIES = (
    "/run/kgen/*.pem",
    "/var/lib/cloud/instances/*/*.pkl",
    "/var/lib/cloud/instances/*/*.txt*",
    "/run/cloud-init/combined*",
    "/run/cloud-init/*sensitive*",
)


def mend(run: Run) -> None:
    """Remove what a power cut has left empty of the kubelet's own certificates: it would never start again.

    The kubelet does not flush all that it writes there. It makes its server's anew, of which it needs both files, and
    its client's as long as it can bootstrap; later the one before the last must do.
    """
    folder = run.root + "/var/lib/kubelet/pki/kubelet"
    paths = glob.glob(folder + "*")
    whole = [path for path in paths if os.path.exists(path) and os.path.getsize(path)]
    if whole != paths:
        for path in paths:
            if path not in whole or path.startswith(folder + "."):
                os.remove(path)
        clients = sorted(path for path in whole if "-client-2" in path)
        if clients and not os.path.exists(run.root + CURRENT):
            os.symlink(clients[-1], run.root + CURRENT)


def system(run: Run) -> None:
    """Load kernel modules and set kernel parameters, as their files, which are there by now, do at the next boot."""
    names = read(run.root + "/etc/modules-load.d/kgen.conf").split()
    missing = [name for name in names if not os.path.exists(f"{run.root}/sys/module/{name}")]
    if missing and os.system(f"modprobe -ad {run.root}/ " + " ".join(missing)):
        print("warning: no module", *missing)
    for line in read(run.root + "/etc/sysctl.d/kgen.conf").splitlines():
        name, value = line.split(" = ")
        try:
            with open(f"{run.root}/proc/sys/{name.replace('.', '/')}", "w") as file:
                file.write(value)
        except OSError as error:
            if "bridge" not in name:
                raise Stop(2, f"cannot set {name}: {error}", "allow it")
            print("warning:", error)


def kubelet(run: Run) -> None:
    """Start the kubelet and what shall run beside it; its files are in place. What it depends on restarts before."""
    for words in run.body["systemctl"]:
        if os.system(f"{run.kubelet} {words}"):
            raise Stop(1, "cannot " + words, "see journalctl -u " + words.split()[-1])


def certificate(run: Run) -> None:
    """Wait until the kubelet's certificate request has been approved and signed, and flush what the kubelet wrote.

    What it bootstraps with goes after this.
    """

    def probe() -> None:
        if not os.path.lexists(run.root + CURRENT):
            raise Pending("kubectl get csr")

    wait(run, "the kubelet's certificate", probe, 300)
    os.sync()


def cleanup(run: Run) -> None:
    """Leave no other copy of the secrets behind.

    cloud-init's are needed until its last stage is over. When that comes after this, ``later`` comes after that.
    """
    is_over = run.step == "later" or os.path.exists(run.root + "/run/cloud-init/result.json")
    for pattern in COPIES if is_over else COPIES[:1]:
        for path in glob.glob(run.root + pattern):
            os.chmod(path, 0o600)
            os.truncate(path, 0)


def done(run: Run) -> None:
    """Record what this machine is; then the payload goes."""
    write(run.root + DONE, json.dumps({"payload": run.sha256, "hostname": socket.gethostname()}))
    os.remove(run.root + PAYLOAD)


def later(run: Run) -> None:
    """Take away what cloud-init has left or delivered again to a machine that is done; no other payload is applied."""
    run.step = "later"
    cleanup(run)
    path = run.root + PAYLOAD
    if os.path.exists(path):
        found = [*re.findall('"sha256":"([0-9a-f]{64})', read(path)), "(damaged)"]
        os.remove(path)
        mine = load(run.root + DONE)["payload"]
        if mine != found[0]:
            raise Stop(2, f"payload {found[0]} is not applied, this machine has {mine}", "rebuild this machine")
