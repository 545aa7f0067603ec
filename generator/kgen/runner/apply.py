"""`kgen apply`: bring a running machine from the files it has to the ones that were rendered.

The program runs on a machine whose first boot is done. It keeps a copy of every file it replaces, restarts only what
reads a changed file, one component after another, and puts the copies back when a component does not come back.
A manifest gets its copy when its component is restarted, so only what was restarted is put back.
A run that was cut is continued by the next one: until the end, a file with a copy counts as changed.
"""

import contextlib
import fcntl
import glob
import json
import os
import re
import socket
import ssl
import sys
import traceback
from typing import Any, TextIO

from .api import connect, get, pair
from .base import FAILED, PERSON_MUST_ACT, WAIT_RAN_OUT, Pending, Run, Stop, load, read, tell, wait, write
from .copies import COPIES, LAST_COPIES, copy_of, has_copy, keep_last, replace_file
from .files import pem, text_of
from .machine import CURRENT, DONE, finalized, system
from .own_values import own_values
from .payload import CA, RENDER_AGAIN, clock, take
from .publish import APISERVER
from .restart import (
    BOOTSTRAP_CONF,
    KUBELET_CONF,
    MANIFESTS,
    components,
    is_the_kubelets,
    kubelet_health,
    restart_kubelet,
    restart_pod,
    systemctl,
)

KUBELET_FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
RUNNER = "/usr/local/lib/kgen/firstboot.py"
LABELS = "/etc/kgen/labels.json"
# Files that are no longer rendered are removed there, and where "kgen" is in the path.
OURS = ("/etc/kubernetes/", "/var/lib/kubelet/")
LOCK = "/run/kgen/apply.lock"
GO_ON = "fix what the error names, then run the script again: it goes on"
# OpenSSL's code of a certificate that has expired.
EXPIRED = 10


def flag(name: str) -> Any:
    """Return a function that returns the value of this flag in a manifest, empty if the manifest does not have it."""
    pattern = re.compile(rf'^ *- "?--{re.escape(name)}=(.*?)"?$', re.M)
    return lambda manifest: "".join(pattern.findall(manifest)[-1:])


def version(manifest: str) -> str:
    """Return the tag of the manifest's image."""
    return "".join(re.findall(r'image: "?\S+:([^\s":]+)', manifest)[:1])


def minor_version(manifest: str) -> str:
    """Return the tag of the manifest's image without its last number."""
    return version(manifest).rpartition(".")[0]


# A static pod, a function that finds a value in its manifest, and the name of that value. A running machine cannot
# change these values.
FIXED = (
    ("etcd", flag("name"), "the name of the etcd member"),
    ("etcd", flag("data-dir"), "the directory of etcd's data"),
    ("etcd", flag("initial-cluster"), "the list of etcd members"),
    # An older etcd may refuse data that a newer minor version has written, so this could not be undone.
    ("etcd", minor_version, "etcd's minor version"),
    (APISERVER, flag("advertise-address"), "the address of the machine"),
    (APISERVER, flag("secure-port"), "the port of the API server"),
    (APISERVER, flag("service-cluster-ip-range"), "the service subnet"),
    # Nodes keep their ranges, and kube-controller-manager exits when one is outside this subnet.
    ("kube-controller-manager", flag("cluster-cidr"), "the pod subnet"),
    # kubeadm upgrade changes the version, one machine after another.
    (APISERVER, version, "the Kubernetes version"),
)


def right_machine(run: Run) -> None:
    """Stop on another machine, on a machine of another pool or cluster, and if the first boot is not done."""
    name, host, pool = run.body["name"], socket.gethostname().lower(), run.body.get("pool")
    flags = read(run.root + KUBELET_FLAGS) if os.path.exists(run.root + KUBELET_FLAGS) else ""
    if not os.path.exists(run.root + DONE):
        raise Stop(PERSON_MUST_ACT, "the first boot of this machine is not done", "look at kgen-firstboot --status")
    if name not in (host, *re.findall(r'--hostname-override=([^\s"]+)', flags)):
        raise Stop(PERSON_MUST_ACT, f"this machine is {host}, not {name}", f"run the script on {name}")
    record = load(run.root + DONE)
    if record.get("pool", pool) != pool:
        belongs = f"belongs to the pool {record['pool']}" if record["pool"] else "belongs to no pool"
        raise Stop(PERSON_MUST_ACT, f"this machine {belongs}", "kgen apply takes the name of the machine or its pool")
    if pool and "pool" not in record:
        print(f"kgen: an older kgen has not recorded the pool of this machine: not checked that it is {pool}")
    is_master = os.path.exists(run.root + "/etc/kubernetes/pki/apiserver.crt")
    if is_master != (run.body["role"] == "master"):
        raise Stop(PERSON_MUST_ACT, f"these files are for a {run.body['role']}", "apply the files of this machine")
    if read(run.root + CA) != pem(run, "ca.crt"):
        hint = "check that the cluster file and the secrets bundle are those of this machine's cluster"
        raise Stop(PERSON_MUST_ACT, f"{CA} is the CA of another cluster", hint)


def possible(run: Run) -> None:
    """Stop if the rendered files change values that a running machine cannot change; name all of them."""
    wanted = {path: text for path, _, text in rendered(run)}
    problems = []
    etcd = MANIFESTS + "etcd.yaml"
    if run.body["role"] == "master" and os.path.exists(run.root + etcd) != (etcd in wanted):
        places = ["outside of the masters", "on the masters"]
        here, new = places[os.path.exists(run.root + etcd)], places[etcd in wanted]
        problems.append(f"etcd, with the data of the cluster, is {here} here and {new} in the rendered files")
    for pod, value_of, what in FIXED:
        path = f"{MANIFESTS}{pod}.yaml"
        if path in wanted and os.path.exists(run.root + path):
            here, new = value_of(read(run.root + path)), value_of(wanted[path])
            if here and here != new:
                problems.append(f"{what} is {here} here and {new or 'empty'} in the rendered files")
    hint = "put the old value back into the cluster file and render again"
    if run.body["role"] == "node":
        # The kubelet has written this file itself, when it got its certificate.
        here = "".join(re.findall(r'server: "?([^\s"]+)', read(run.root + KUBELET_CONF))[:1])
        if here != run.body["server"]:
            problems.append(f"the cluster's endpoint is {here} here and {run.body['server']} in the rendered files")
            hint += ", or rebuild this node with the new user-data"
    if problems:
        raise Stop(PERSON_MUST_ACT, "this cannot be changed on a running machine: " + "; ".join(problems), hint)


def has_quorum(run: Run) -> bool:
    """Return whether etcd has a quorum without the masters whose certificates have expired.

    Stop if etcd of another master is away for another reason: a restart here could cost the quorum.
    """
    others = run.body.get("etcd", {}).get("others", {})
    expired = []
    for name, url in others.items():
        try:
            get(connect(url, pem(run, "etcd/ca.crt"), pair(run, "etcd/peer")), "/members")
        except OSError as problem:
            if not isinstance(problem, ssl.SSLCertVerificationError) or problem.verify_code != EXPIRED:
                error = f"etcd of {name} does not answer: {problem}"
                raise Stop(PERSON_MUST_ACT, error, f"wait until {name} serves")
            expired.append(name)
    if expired:
        print(f"kgen: the certificates of {', '.join(expired)} have expired: use kgen apply there next")
    return 2 * len(expired) <= len(others)


def kubelet_runs(run: Run) -> None:
    """Stop unless the kubelet answers: only a kubelet that runs stops and starts static pods."""
    try:
        kubelet_health(run)
    except OSError as problem:
        hint = "start the kubelet first: see journalctl -u kubelet"
        raise Stop(PERSON_MUST_ACT, f"the kubelet does not answer: {problem}", hint)


def has_expired(run: Run) -> bool:
    """Return whether the certificate that the kubelet renews by itself has expired.

    A TLS handshake in memory says so, because the standard library does not read the dates of such a certificate.
    """
    path = run.root + CURRENT
    if not os.path.exists(path):
        return False
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(cadata=pem(run, "ca.crt"))
    for context in (client, server):
        context.load_cert_chain(path)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for end in ends * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as problem:
            return problem.verify_code == EXPIRED
    return False


def kubelet_is_renewed(run: Run) -> None:
    """Wait until the kubelet has a new certificate, and leave its credentials as they are after a first boot."""

    def probe() -> None:
        if has_expired(run):
            raise Pending("it is not signed yet: on a master, kubectl get csr")

    wait(run, "the kubelet's certificate", probe, 300)
    os.sync()
    if run.body["role"] == "master":
        path = run.root + KUBELET_CONF
        write(path, finalized(read(path)), 0o600)
    else:
        os.remove(run.root + BOOTSTRAP_CONF)


def rendered(run: Run) -> Any:
    """Yield path, mode and text of each rendered file, as it is on a machine whose first boot is done."""
    for path, mode, _, content in run.body["files"]:
        text = text_of(run, path, content)
        there = run.root + path
        is_new = run.body.get("hasExpired")
        if path == BOOTSTRAP_CONF and not os.path.exists(there) and not is_new:
            # The kubelet has its certificate: it needs no bootstrap token.
            continue
        if path == KUBELET_CONF and os.path.exists(run.root + CURRENT) and not is_new:
            text = finalized(text)
        state = "--initial-cluster-state=existing"
        if path == MANIFESTS + "etcd.yaml" and os.path.exists(there) and state in read(there) and state not in text:
            # This member was added to a running etcd.
            text = re.sub(r"^( *- )(\"?)--initial-cluster=.*\n", r"\g<0>\1\2" + state + r"\2\n", text, flags=re.M)
        yield path, int(mode, 8), text


def changed_files(run: Run) -> Any:
    """Return path, mode and text of the files to apply; the text of a file to remove is None.

    Those are the files that differ, those that a cut run has replaced, those that are no longer rendered, and the
    manifests of the static pods that read one of them.
    """
    files = list(rendered(run))
    changed = set()
    for path, mode, text in files:
        there = run.root + path
        is_same = os.path.exists(there) and read(there) == text and os.stat(there).st_mode & 0o777 == mode
        if not is_same or has_copy(run, path):
            changed.add(path)
    for path, _, text in files:
        if path.startswith(MANIFESTS) and any(re.search(re.escape(each) + r"\b", text) for each in changed):
            changed.add(path)
    gone = {*load(run.root + DONE).get("files", ())} - {file[0] for file in run.body["files"]}
    present = [path for path in sorted(gone) if has_copy(run, path) or os.path.exists(run.root + path)]
    # A file of the user's may be one that the system needs.
    removed = [(path, 0, None) for path in present if path.startswith(OURS) or "kgen" in path]
    kept = {*present} - {file[0] for file in removed}
    if kept:
        print("kgen: no longer rendered, and not removed:", *sorted(kept))
    return [file for file in files if file[0] in changed] + removed


def replace(run: Run, changed: Any) -> None:
    """Write or remove the changed files and restart what reads them, each healthy before the next."""
    manifests = {path: (mode, text) for path, mode, text in changed if path.startswith(MANIFESTS)}
    paths = [path for path, _, _ in changed]
    for path, mode, text in changed:
        if path not in manifests:
            replace_file(run, path, mode, text)
    if any(path.startswith(("/etc/sysctl.d/", "/etc/modules-load.d/")) for path in paths):
        system(run)
    is_new = run.body.get("hasExpired")
    if is_new:
        # Such a kubelet does not run, and only a kubelet that runs starts static pods.
        restart_kubelet(run, paths)
    for name, url, probe in components(run):
        path = f"{MANIFESTS}{name}.yaml"
        if path in manifests:
            restart_pod(run, name, url, probe, *manifests.pop(path))
    for path, (mode, text) in manifests.items():
        # A static pod of the user's: the kubelet sees by itself that its manifest has changed.
        replace_file(run, path, mode, text)
    if is_new:
        kubelet_is_renewed(run)
    elif any(is_the_kubelets(path) for path in paths):
        restart_kubelet(run, paths)
    if LABELS in paths and os.path.exists(run.root + LABELS):
        # The timer has disabled itself when every Node had its labels.
        systemctl(run, "enable --now kgen-labels.timer")


def undo(run: Run, changed: Any) -> None:
    """Put the copies back and restart what was restarted. What has no copy yet is as it was."""
    before: list[Any] = []
    run.body["hasExpired"] = False
    for path, _, _ in changed:
        copy = copy_of(run, path)
        if os.path.exists(copy):
            before.append((path, os.stat(copy).st_mode & 0o777, read(copy)))
        elif has_copy(run, path):
            before.append((path, 0, None))
    replace(run, before)


def sentence(problem: Exception) -> str:
    """Return what went wrong. The message of a bug is left out: it may quote the payload."""
    if isinstance(problem, Stop):
        return str(problem.args[1])
    return str(problem) if isinstance(problem, OSError) else f"a bug of kgen: {type(problem).__name__}"


def replace_or_undo(run: Run, changed: Any) -> None:
    """Replace the files. If that fails, put back what was there."""
    try:
        replace(run, changed)
    except Exception as problem:
        reason = sentence(problem)
        print(f"kgen: {reason}\nkgen: putting back what was replaced")
        try:
            undo(run, changed)
        except Exception as another:
            error = f"{reason}; then this machine was not put back as it was: {sentence(another)}"
            raise Stop(FAILED, error, f"{GO_ON}; the copies are in {COPIES}")
        keep_last(run)
        hint = f"the copies that were put back are in {LAST_COPIES}; see journalctl -u kubelet"
        raise Stop(WAIT_RAN_OUT, f"nothing has changed on this machine: {reason}", hint)


def apply(run: Run) -> None:
    """Check the machine, replace the changed files and restart what reads them; undo everything after a failure."""
    right_machine(run)
    run.body["hasExpired"] = has_expired(run)
    if run.body["hasExpired"]:
        way = "kubelet.conf" if run.body["role"] == "master" else "the bootstrap token, which must be valid"
        print(f"kgen: the kubelet's certificate has expired: it gets another one with {way}")
    possible(run)
    changed = changed_files(run)
    if changed:
        run.body["hasQuorum"] = has_quorum(run)
        is_continued = os.path.exists(run.root + COPIES)
        has_manifests = any(path.startswith(MANIFESTS) for path, _, _ in changed)
        if has_manifests and not is_continued and not run.body["hasExpired"]:
            kubelet_runs(run)
        for path, _, text in changed:
            print("kgen: removing" if text is None else "kgen: replacing", path)
        try:
            replace_or_undo(run, changed)
        finally:
            # The waits have written another status.
            tell(run, "done")
    done = load(run.root + DONE)
    earlier = [*done.get("earlier", []), *({done["payload"]} - {run.sha256})]
    paths = [file[0] for file in run.body["files"]]
    write(run.root + DONE, json.dumps({**done, "payload": run.sha256, "earlier": earlier, "files": paths}))
    keep_last(run)
    if not run.body.get("hasQuorum", True):
        print("kgen: this master serves when most masters have their new certificates")
    print(f"kgen: {len(changed)} files changed, copies in {LAST_COPIES}" if changed else "kgen: nothing to change")


def alone(run: Run) -> TextIO:
    """Return the lock, held until it is closed; stop while another run holds it."""
    os.makedirs(os.path.dirname(run.root + LOCK), exist_ok=True)
    lock = open(run.root + LOCK, "w")  # noqa: SIM115
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise Stop(PERSON_MUST_ACT, "another kgen apply works on this machine", "wait until it ends: pgrep -f apply.py")
    return lock


class Console:
    """Standard output, which may go away: when SSH is cut, the work goes on to its end."""

    def __init__(self, stream: Any) -> None:
        """Keep the stream."""
        self.stream = stream

    def write(self, text: str) -> None:
        """Write what can be written."""
        with contextlib.suppress(OSError):
            self.stream.write(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError):
            self.stream.flush()


def guarded(run: Run, folder: str) -> int:
    """Apply and return the exit code. Every failure is a sentence with a hint."""
    try:
        if os.geteuid():
            raise Stop(PERSON_MUST_ACT, "only root can do this", "ssh root@MACHINE, or sudo sh")
        with alone(run):
            take(run, read(folder + "/payload.json"))
            clock(run)
            own_values(run)
            apply(run)
            # Verbs of the first-boot program serve later boots and timers, so it goes with the files.
            write(run.root + RUNNER, read(folder + "/firstboot.py"), 0o755)
        return 0
    except Stop as stop:
        code, error, hint = stop.args
    except OSError as problem:
        code, error, hint = FAILED, str(problem), GO_ON
    except Exception as problem:
        # Only its kind and place: its message may quote the payload.
        traceback.print_tb(problem.__traceback__)
        code, error, hint = FAILED, sentence(problem), "report it with this output"
    # A machine that runs is never booted again with other user-data.
    print(f"kgen: {error}\nTo do: {hint.replace(RENDER_AGAIN, 'run kgen render, then kgen apply again')}")
    return int(code)


def main(folder: str, root: str, kubelet: str) -> int:
    """Apply the payload in ``folder`` and return the exit code. The first-boot program lies beside it."""
    run = Run(root, kubelet)
    try:
        with contextlib.redirect_stdout(Console(sys.stdout)):  # type: ignore[type-var]
            return guarded(run, folder)
    finally:
        for path in glob.glob(run.root + "/run/kgen/*.pem"):
            os.truncate(path, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2] if sys.argv[2:] else "", " ".join(sys.argv[3:]) or "systemctl"))
