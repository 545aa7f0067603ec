"""Checks before anything is changed. kubeadm's keep their names and severity; ours begin with Kgen.

A check yields name, finding with remedy, and True as a third where it is no more than a warning. ``texts`` is
everything the machine will write.
"""

import _thread
import glob
import os
import re
import socket
import zlib
from typing import Any

from .base import Run, Stop, load, read
from .cri import runtime


def listen(host: str, port: int) -> Any:
    """Return a socket that listens there; without a host, at every address of both families."""
    both = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, dualstack_ipv6=both)


def privileged(run: Run, texts: str) -> Any:
    """Only root can do what follows."""
    if os.geteuid():
        yield "IsPrivilegedUser", "not root"


def nothing_there(run: Run, texts: str) -> Any:
    """What another cluster left would be overwritten, or the kubelet would use it; our own files come later."""
    for path in sorted({"/etc/kubernetes/kubelet.conf", *next(zip(*run.body["files"]))}):
        if re.match("/etc/kubernetes/(?!pki)|.*/pki/ca.crt", path) and os.path.exists(run.root + path):
            yield "FileAvailable-" + path.replace("/", "-"), path + " exists: remove what another cluster left"


def addresses_free(run: Run, texts: str) -> Any:
    """Certificates and arguments name the machine's own addresses; who listens already keeps a component from it."""
    missing = []
    for host, port in [[host, 0] for host in run.body["addresses"]] + run.body["ports"]:
        try:
            if host not in missing:
                listen(host, port).close()
        except OSError as error:
            if port:
                yield f"Port-{port}", f"{error}: see ss -ltnp"
            else:
                missing.append(host)
                yield "KgenAddress", f"{host} is not on this machine: see ip address"


def resolve(name: str, found: Any, lock: Any) -> None:
    """Put the addresses of ``name`` into ``found``, then release ``lock``."""
    try:
        found += socket.getaddrinfo(name, 0)
    except Exception:
        found.clear()
    lock.release()


def node_name(run: Run, texts: str) -> Any:
    """The kubelet registers under the hostname unless its arguments say otherwise."""
    host = socket.gethostname().lower()
    name = run.body["name"]
    if host != name and "--hostname-override" not in texts:
        yield "KgenNodeName", f"hostname is {host}, not {name}: hostnamectl set-hostname {name}"
    found: Any = []
    lock = _thread.allocate_lock()
    lock.acquire()
    _thread.start_new_thread(resolve, (name, found, lock))
    # A resolver without a network takes half a minute.
    lock.acquire(True, 2)
    if not found:
        yield "Hostname", f"{name} does not resolve: see /etc/hosts", True


def swap(run: Run, texts: str) -> Any:
    """The kubelet does not start with swap unless told otherwise."""
    # A kernel without swap has no such file.
    for path in glob.glob(run.root + "/proc/swaps"):
        for device in read(path).split()[5:6]:
            allowed = re.search("fail-?swap-?on[:=] ?false", texts, re.I)
            yield "Swap" if allowed else "KgenSwap", device + " is on: swapoff -a, edit /etc/fstab", allowed


def installed(run: Run, texts: str) -> Any:
    """What the kubelet needs, and itself; its version is the image's matter: asking the kubelet takes seconds."""
    for name in ("losetup", "mount", "cp", "kubelet"):
        if not any(os.access(f"{run.root}{path}/{name}", os.X_OK) for path in os.get_exec_path()):
            yield "KubeletVersion" if name == "kubelet" else "FileExisting-" + name, f"no {name} in PATH"
    if not glob.glob(run.root + "/*/systemd/system/kubelet.service"):
        yield "Service-Kubelet", "no kubelet.service"
    needed = run.body["kubernetesVersion"]
    image = load(run.root + "/etc/kgen/image.json")
    if image and image["kubernetesVersion"] != needed:
        yield "KgenImage", f"made for {image['kubernetesVersion']}, not {needed}"


def kernel(run: Run, texts: str) -> Any:
    """Kernel and control groups, by the rules of the version."""
    name = "SystemVerification"
    release = os.uname().release
    pattern, mild, *rules = run.body["kernel"]
    if not re.match(pattern, release):
        yield name, "kernel " + release, mild
    path = run.root + "/sys/fs/cgroup/cgroup.controllers"
    if os.path.exists(path):
        there = read(path).split()
        needed = rules[0]
    else:
        there = re.findall(r"(\w+)\t.*1\n", read(run.root + "/proc/cgroups"))
        needed = rules[-1]
        yield name, "cgroup v1: boot with systemd.unified_cgroup_hierarchy=1", len(rules) > 1
    # Where kubeadm looks.
    places = (
        "proc/config.gz",
        f"boot/config-{release}",
        f"usr/lib/modules/{release}/config",
        f"usr/lib/*/config-{release}",
        "usr/src/linux*/.config",
        f"lib/modules/{release}/build/.config",
    )
    paths = [path for place in places for path in glob.glob(f"{run.root}/{place}")]
    if paths:
        with open(paths[0], "rb") as file:
            data = file.read()
        there += re.findall(r"CONFIG_(\w+)=[my]", (zlib.decompress(data, 47) if data[0] == 31 else data).decode())
        lacking = {*needed.split()} - {*there}
        if lacking:
            yield name, f"kernel {release} lacks {' '.join(sorted(lacking))}"
    else:
        yield name, "no /boot/config-" + release


# The first alone, when it fails; a master has more.
CHECKS = [privileged, nothing_there, addresses_free, node_name, swap, installed, kernel, runtime]


def preflight(run: Run) -> None:
    """Report every finding; stop when one is an error that is not ignored."""
    errors = []
    texts = str(run.body["files"])
    for check in CHECKS:
        for name, finding, *mild in check(run, texts):
            line = f"{name}: {finding}"
            if any(mild) or {"all", name.lower()} & {*run.body["ignorePreflightErrors"]}:
                print("warning", line)
            else:
                print("error", line)
                errors.append(line)
        if errors and check == privileged:
            break
    if errors:
        raise Stop(2, "; ".join(errors), "repair it, or set ignorePreflightErrors")
