"""Checks of the machine before anything is changed.

kubeadm's checks keep their names and severities; ours begin with Kgen. A check yields its findings. ``texts`` is
everything that the machine will write, in one text.
"""

import errno
import glob
import os
import re
import socket
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator

from .base import PERSON_MUST_ACT, Pending, Run, Stop, load, read, wait
from .files import expand
from .findings import Finding


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; without a host, at every address of both families."""
    both = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, dualstack_ipv6=both)


def make_way(run: Run) -> None:
    """Stop what an earlier payload of this cluster has started here.

    The kubelet stops a static pod whose manifest is gone. It is disabled, so that a reboot does not start it before
    the new files are there.
    """

    def probe() -> None:
        for finding in addresses_free(run, ""):
            if finding.name not in ("KgenAddress", "Port-10250"):
                raise Pending(finding.text)

    for path, *_ in run.body["files"]:
        if "/manifests/" in path and os.path.exists(run.root + path):
            os.remove(run.root + path)
    wait(run, "the earlier static pods to stop", probe, hint="reboot this machine")
    os.system(f"{run.kubelet} disable --now kubelet")


def nothing_there(run: Run, texts: str) -> Iterator[Finding]:
    """Files of another cluster would be overwritten, or the kubelet would use them."""
    if run.replaces:
        return
    paths = {path for path, _, _, _ in run.body["files"]} | {"/etc/kubernetes/kubelet.conf"}
    for path in sorted(paths):
        if re.match("/etc/kubernetes/(?!pki)|.*/pki/ca.crt", path) and os.path.exists(run.root + path):
            name = "FileAvailable-" + path.replace("/", "-")
            yield Finding(name, f"{path} exists: remove what another cluster left")


def addresses_free(run: Run, texts: str) -> Iterator[Finding]:
    """Certificates and arguments name the machine's own addresses; the components need their ports."""
    for host, port in [*([host, 0] for host in run.body["addresses"]), *run.body["ports"]]:
        try:
            listen(host, port).close()
        except OSError as error:
            if port and error.errno != errno.EADDRNOTAVAIL:
                yield Finding(f"Port-{port}", f"{error}: see ss -ltnp")
            else:
                yield Finding("KgenAddress", f"{host} is not on this machine: see ip address", may_pass=True)


def resolves(name: str) -> bool:
    """Return whether the name resolves. A resolver without a network would take half a minute."""
    try:
        return subprocess.run(["getent", "hosts", name], stdout=subprocess.DEVNULL, timeout=2).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def node_name(run: Run, texts: str) -> Iterator[Finding]:
    """The kubelet registers under the hostname unless its arguments say otherwise."""
    host = socket.gethostname().lower()
    name = run.body["name"]
    if host != name and "--hostname-override" not in texts:
        yield Finding("KgenNodeName", f"hostname is {host}, not {name}: hostnamectl set-hostname {name}", may_pass=True)
    if not resolves(name):
        yield Finding("Hostname", f"{name} does not resolve: add it to /etc/hosts", True)


def swap(run: Run, texts: str) -> Iterator[Finding]:
    """The kubelet does not start while swap is on, unless its configuration allows it."""
    path = run.root + "/proc/swaps"
    # A kernel without swap has no such file. Its first line holds the five names of the columns.
    devices = read(path).split()[5:6] if os.path.exists(path) else []
    for device in devices:
        is_allowed = bool(re.search("fail-?swap-?on[:=] ?false", texts, re.I))
        name = "Swap" if is_allowed else "KgenSwap"
        yield Finding(name, f"{device} is on: swapoff -a, and edit /etc/fstab", is_allowed)


def installed(run: Run, texts: str) -> Iterator[Finding]:
    """The kubelet needs these programs. It is not asked for its version: that takes seconds."""
    for name in ("losetup", "mount", "cp", "kubelet"):
        if not any(os.access(f"{run.root}{path}/{name}", os.X_OK) for path in os.get_exec_path()):
            kind = "KubeletVersion" if name == "kubelet" else "FileExisting-" + name
            yield Finding(kind, f"no {name} in PATH: install it")
    if not glob.glob(run.root + "/*/systemd/system/kubelet.service"):
        yield Finding("Service-Kubelet", "systemctl cat kubelet finds no unit")
    needed = run.body["kubernetesVersion"]
    found = load(run.root + "/etc/kgen/image.json").get("kubernetesVersion", needed)
    if found != needed:
        yield Finding("KgenImage", f"this image is made for {found}, not {needed}: rebuild from another")


def kernel_config(run: Run, release: str) -> str:
    """Return the options that the kernel was built with, empty if no file says so. kubeadm looks in the same places."""
    places = (
        "proc/config.gz",
        f"boot/config-{release}",
        f"usr/lib/modules/{release}/config",
        f"usr/lib/*/config-{release}",
        "usr/src/linux*/.config",
        f"lib/modules/{release}/build/.config",
    )
    for path in [path for place in places for path in glob.glob(f"{run.root}/{place}")]:
        with open(path, "rb") as file:
            data = file.read()
        is_gzip = data[:1] == b"\x1f"
        try:
            return (zlib.decompress(data, 47) if is_gzip else data).decode(errors="replace")
        except zlib.error as error:
            raise Stop(PERSON_MUST_ACT, f"{path} is damaged: {error}", "install the kernel's package again")
    return ""


def kernel(run: Run, texts: str) -> Iterator[Finding]:
    """The kernel and its control groups, by the rules of the Kubernetes version."""
    name = "SystemVerification"
    release = os.uname().release
    pattern, is_warning, *rules = run.body["kernel"]
    if not re.match(pattern, release):
        yield Finding(name, f"kernel {release} is too old", is_warning)
    path = run.root + "/sys/fs/cgroup/cgroup.controllers"
    if os.path.exists(path):
        there = read(path).split()
        needed = rules[0]
    else:
        there = re.findall(r"(\w+)\t.*1\n", read(run.root + "/proc/cgroups"))
        needed = rules[-1]
        text = "the machine uses cgroup v1: boot with systemd.unified_cgroup_hierarchy=1"
        yield Finding(name, text, len(rules) > 1)
    config = kernel_config(run, release)
    if not config:
        yield Finding(name, f"there is no /boot/config-{release}")
        return
    there += re.findall(r"CONFIG_(\w+)=[my]", config)
    lacking = set(needed.split()) - set(there)
    if lacking:
        yield Finding(name, f"kernel {release} lacks {' '.join(sorted(lacking))}")


def run_checks(run: Run, checks: tuple[Callable[[Run, str], Iterator[Finding]], ...]) -> None:
    """Report every finding, and stop if one is an error that is not ignored.

    If each error may pass, check again for two minutes first.
    """
    if run.replaces:
        make_way(run)
    ignored = set(run.body["ignorePreflightErrors"])
    texts = "".join(expand(run, content) for _, _, _, content in run.body["files"])
    seconds = 120 * run.body["waitFactor"]
    end = time.monotonic() + seconds
    hint = "fix each finding, or set ignorePreflightErrors"

    def probe() -> None:
        found = dict.fromkeys(finding for check in checks for finding in check(run, texts))
        errors = [each for each in found if not each.is_warning and not {"all", each.name.lower()} & ignored]
        problems = "; ".join(f"{each.name}: {each.text}" for each in errors)
        if errors and all(each.may_pass for each in errors) and time.monotonic() < end:
            raise Pending(problems)
        for each in found:
            print("error" if each in errors else "warning", f"{each.name}: {each.text}")
        if errors:
            raise Stop(PERSON_MUST_ACT, problems, hint)

    wait(run, f"this machine, at most {seconds:g} s", probe, hint=hint)
