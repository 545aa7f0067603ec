"""The etcd guard: a member that has been started once must never start again with an empty log.

It would have forgotten its votes. etcd answers GET /members on its peer port, also without quorum. A member in that
list has ``clientURLs`` from its first start on (seen with etcd 3.7.0).
"""

import json
import os
import re
import socket
import ssl
import threading
import time
from typing import Any

from .api import connect, get, pair
from .base import PERSON_MUST_ACT, Pending, Run, Stop, wait
from .files import expand, pem, stage
from .preflight import listen


def answer_fresh(listener: socket.socket, context: ssl.SSLContext, asked: set[str]) -> None:
    """Tell the other masters that this one has no data, until the listener is closed; note who has asked."""
    while listener.fileno() >= 0:
        try:
            raw, (host, *_) = listener.accept()
            raw.settimeout(3)
            with context.wrap_socket(raw, server_side=True) as peer:
                # An etcd that runs asks for its streams, too. It must not think that this is a member.
                if peer.recv(4096).startswith(b"GET /members "):
                    peer.sendall(b'HTTP/1.0 200 OK\r\n\r\n{"fresh":true}')
                    asked.add(host)
        except OSError:
            pass


def answer_peers(run: Run, client: str, asked: set[str]) -> socket.socket:
    """Answer at this member's peer URL in the background. Both sides show certificates of etcd's CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(client)
    context.load_verify_locations(cadata=pem(run, "etcd/ca.crt"))
    context.verify_mode = ssl.CERT_REQUIRED
    host, _, port = run.body["etcd"]["peerURL"].split("/")[2].rpartition(":")
    listener = listen(host.strip("[]"), int(port))
    threading.Thread(target=answer_fresh, args=(listener, context, asked), daemon=True).start()
    return listener


def etcdctl(name: str, words: str) -> str:
    """Return the command for the console of the master ``name`` that calls etcdctl in its pod: hosts have none."""
    pki = "/etc/kubernetes/pki/etcd/"
    return (
        f"kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system exec etcd-{name} -- etcdctl "
        f"--endpoints localhost:2379 --cacert {pki}ca.crt --cert {pki}server.crt --key {pki}server.key {words}"
    )


def judge(run: Run, name: str, members: list[dict[str, Any]]) -> None:
    """Stop if the members, as the master ``name`` lists them, have this one as started, or not at all.

    A member without a name has been added to an etcd that runs. Then this one joins it, as ``kubeadm join`` does.
    """
    me, url = run.body["name"], run.body["etcd"]["peerURL"]
    mine = [member for member in members if url in member["peerURLs"]]
    add = etcdctl(name, f"member add {me} --peer-urls={url}")
    if not mine:
        raise Stop(PERSON_MUST_ACT, f"etcd of {name} has no member {url}", f"on {name}: {add}")
    if mine[0].get("clientURLs"):
        error = f"etcd member {me} has run before ({name} knows it), but its data is gone: writes could be lost"
        remove = etcdctl(name, f"member remove {mine[0]['id']:x}")
        raise Stop(PERSON_MUST_ACT, error, f"on {name}: {remove}; {add}")
    if "name" not in mine[0]:
        run.body["etcd"]["joins"] = True


def ask_others(run: Run) -> bool:
    """Wait until every other master has answered and none has seen this one start. Answer them meanwhile.

    Return whether etcd of one of them runs.
    """
    others = run.body["etcd"]["others"]
    missing = dict(others)
    running = []
    asked: set[str] = set()
    client = pair(run, "etcd/peer")
    listener = answer_peers(run, client, asked)

    def probe() -> None:
        problem: object = ""
        for name, url in list(missing.items()):
            try:
                members = json.loads(get(connect(url, pem(run, "etcd/ca.crt"), client), "/members"))
            except OSError as error:
                problem = error
            else:
                if "fresh" not in members:
                    judge(run, name, members)
                    running.append(name)
                del missing[name]
        if missing:
            raise Pending(f"{', '.join(missing)}: {problem}")

    wait(run, "the other masters", probe, 9e9, "start the machines named here; on each: kgen-firstboot --status")
    # The last master to come would close its listener before the others ask, and they would wait for its etcd.
    end = time.monotonic() + 5
    while len(asked) < len(others) and time.monotonic() < end:
        time.sleep(0.1)
    # Closing alone does not wake the thread, and the port would stay in use.
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    return bool(running)


def etcd_guard(run: Run) -> None:
    """Write the static pod of etcd if this member has data, is the only one, or no other has seen it start.

    A single member is healthy at once, so its API server may start beside it.
    """
    etcd = run.body["etcd"]
    if not os.path.isdir(run.root + etcd["dataDir"] + "/member"):
        others_run = bool(etcd["others"]) and ask_others(run)
        if not others_run and not etcd["mayStartEmpty"]:
            error = f"this cluster has run before, but no master has data in {etcd['dataDir']}: etcd must not start"
            hint = (
                "restore a snapshot with etcdutl, then systemctl start kgen-firstboot; "
                "or make a new cluster: kgen render --new-cluster cluster.yaml, then rebuild the machines"
            )
            raise Stop(PERSON_MUST_ACT, error, hint)
    for file in run.body["files"]:
        if file[2] == "etcd" and "joins" in etcd:
            text = expand(run, file[3])
            file[3] = [re.sub('(.*--initial-cluster)=.*?("?)\n', r"\g<0>\1-state=existing\2\n", text)]
    stage(run, "etcd")
    if not etcd["others"]:
        stage(run, "apiserver")
