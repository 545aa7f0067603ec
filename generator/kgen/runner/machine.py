"""The machine around the cluster: kernel, kubelet, and removing what is left behind."""

import glob
import json
import os
import pickle
import re
import site
import socket
import zlib
from typing import Any

from .base import FAILED, PERSON_MUST_ACT, Pending, Run, Stop, load, read, wait, write
from .payload import PAYLOAD

CURRENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
DONE = "/var/lib/kgen/done"


def mend(run: Run) -> None:
    """Remove empty certificate files left by a power cut: the kubelet would not start with them.

    The kubelet recreates its serving certificate when either file is missing, and its client certificate while
    bootstrap-kubelet.conf exists. Later the newest client certificate that is whole takes its place.
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
    """Load kernel modules and set kernel parameters for this boot. At later boots their files do that."""
    names = read(run.root + "/etc/modules-load.d/kgen.conf").split()
    missing = [name for name in names if not os.path.exists(f"{run.root}/sys/module/{name}")]
    if missing and os.system(f"modprobe -ad {run.root}/ " + " ".join(missing)):
        print("warning: cannot load kernel modules:", *missing)
    for line in read(run.root + "/etc/sysctl.d/kgen.conf").splitlines():
        name, value = line.split(" = ")
        try:
            with open(f"{run.root}/proc/sys/{name.replace('.', '/')}", "w") as file:
                file.write(value)
        except OSError as error:
            if "bridge" not in name:
                raise Stop(PERSON_MUST_ACT, f"cannot set {name}: {error}", f"see sysctl {name}")
            print("warning:", error)


def kubelet(run: Run) -> None:
    """Call systemctl as the payload says: start the kubelet, and before it restart what it depends on."""
    for words in run.body["systemctl"]:
        if os.system(f"{run.kubelet} {words}"):
            raise Stop(FAILED, f"systemctl {words} failed", "see journalctl -u " + words.split()[-1])


def certificate(run: Run) -> None:
    """Wait until the kubelet has its client certificate, and flush it to disk: its bootstrap credential goes next."""

    def probe() -> None:
        if not os.path.lexists(run.root + CURRENT):
            raise Pending("it is not signed yet: on a master, kubectl get csr")

    wait(run, "the kubelet's certificate", probe, 300)
    os.sync()


def finalized(text: str) -> str:
    """Return a master's kubelet.conf with the certificate that the kubelet renews by itself, as kubeadm has it."""
    return re.sub("(client-.*)-data: .*", r"\1: " + CURRENT, text)


def without_payload(data: Any) -> Any:
    """Return user-data without the payload, which comes last in it; None if it is not the text of a document.

    The rest stays, because cloud-init needs it at each boot: the hostname, the user's bootcmd.
    """
    text = data if isinstance(data, bytes) else str(data).encode()
    if text[:1] == b"\x1f":
        text = zlib.decompress(text, 47)
    text = re.sub(rb'(\nwrite_files:)?\n+- path: "/etc/kgen/payload.json".*', b"\n", text, flags=re.S)
    return text if text.startswith(b"#cloud-config") else None


def forget(values: dict[str, Any]) -> None:
    """Take the payload out of what cloud-init knows of its data source; metadata may hold the user-data, too.

    At a boot that is not the first one, cloud-init has the user-data's write_files among its settings.
    """
    for name, value in values.items():
        if isinstance(value, dict):
            forget(value)
        elif re.search("(user|vendor|custom)[-_]?data|^write_files", str(name), re.I):
            values[name] = without_payload(value)


def source_without_payload(data: bytes) -> Any:
    """Return cloud-init's pickled data source without the payload, None if it cannot be read.

    Without its data source, cloud-init takes the machine for a new one where it finds no user-data at the next boot.
    """
    try:
        # cloud-init's classes are among the site-packages, which this program does without.
        site.main()
        source = pickle.loads(data)
        forget(vars(source))
        return pickle.dumps(source)
    except Exception as problem:
        # Only its kind: its message may quote the user-data.
        print(f"kgen: emptied cloud-init's obj.pkl: {type(problem).__name__}")
        return None


# cloud-init's copies of the user-data, and what is left of them. It writes those that are emptied at each boot.
COPIES = {
    "/var/lib/cloud/instances/*/obj.pkl": source_without_payload,
    "/var/lib/cloud/seed/nocloud*/user-data": without_payload,
    "/var/lib/cloud/instances/*/*.txt*": None,
    "/run/cloud-init/combined*": None,
    "/run/cloud-init/*sensitive*": None,
}


def cleanup(run: Run) -> None:
    """Remove the other copies of the secrets.

    cloud-init needs its copies until its last stage is over. If that is still to come, ``later`` removes them.
    """
    copies: Any = {"/run/kgen/*.pem": None}
    if run.step == "later" or os.path.exists(run.root + "/run/cloud-init/result.json"):
        copies.update(COPIES)
    for pattern, change in copies.items():
        for path in glob.glob(run.root + pattern):
            with open(path, "rb") as file:
                data = file.read()
            # A seed may be a disc.
            if data and os.access(path, os.W_OK):
                write(path, (change and change(data)) or b"", 0o600)


def done(run: Run) -> None:
    """Record that this machine is done; then remove the payload."""
    cleanup(run)
    name = socket.gethostname()
    # A clone of this machine, or a machine from an image of it, has another hostname and must not become its Node.
    write(run.root + "/etc/systemd/system/kubelet.service.d/kgen-hostname.conf", f"[Unit]\nConditionHost={name}\n")
    files = [file[0] for file in run.body["files"]]
    record = {"payload": run.sha256, "hostname": name, "pool": run.body.get("pool"), "files": files}
    write(run.root + DONE, json.dumps(record))
    os.remove(run.root + PAYLOAD)


def later(run: Run) -> None:
    """Remove what cloud-init left, or delivered again, on a machine that is done. Another payload is not applied.

    Start the kubelet: it has not started if the hostname came late.
    """
    run.step = "later"
    cleanup(run)
    path = run.root + PAYLOAD
    record = load(run.root + DONE)
    mine = found = record.get("payload")
    if os.path.exists(path):
        found = "".join(re.findall(r'"sha256"\W+(\w{64})', read(path))[:1]) or "(damaged)"
        os.remove(path)
    name = record.get("hostname")
    now = socket.gethostname()
    if name != now:
        error = f"this machine was {name} of its cluster, and its hostname is {now}: the kubelet does not start"
        hint = f"on that machine: hostnamectl set-hostname {name}, then reboot; a clone needs a new disk and user-data"
        raise Stop(PERSON_MUST_ACT, error, hint)
    os.system(f"{run.kubelet} start kubelet")
    # After kgen apply, the user-data still has the payload from before.
    if found not in (mine, *record.get("earlier", [])):
        error = f"the user-data has payload {found}, which is not applied: this machine has {mine}"
        files = record.get("pool") or name
        raise Stop(PERSON_MUST_ACT, error, f"kgen apply cluster.yaml {files} | ssh root@{name} sh, where kgen is")
