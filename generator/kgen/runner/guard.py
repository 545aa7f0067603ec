"""The etcd guard: a member that has been started once must never start again with an empty log.

It would have forgotten its votes. etcd answers GET /members on its peer port, also without quorum; a member there has
``clientURLs`` from its first start on (seen with etcd 3.7.0).
"""

import _thread
import json
import os
import re
import socket
import time
from typing import Any

from .api import connect, get, pair
from .base import Pending, Run, Stop, wait
from .files import pem, stage
from .preflight import listen


def answer_fresh(run: Run, context: Any) -> None:
    """Tell the other masters, until the listener is taken away, that this one has no data."""
    listener = run.listener
    while run.listener:
        try:
            raw, (host, *_) = listener.accept()
            raw.settimeout(3)
            with context.wrap_socket(raw, server_side=True) as peer:
                # An etcd that runs already asks for its streams, too: it must not take this for a member.
                if peer.recv(4096).startswith(b"GET /members "):
                    peer.sendall(b'HTTP/1.0 200 OK\r\n\r\n{"fresh":true}')
                    run.asked.add(host)
        except OSError:
            pass


def answer_peers(run: Run, client: str) -> None:
    """Answer at this member's peer URL in the background; both sides show certificates of etcd's CA."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(client)
    context.load_verify_locations(cadata=pem(run, "etcd/ca.crt"))
    context.verify_mode = ssl.CERT_REQUIRED
    host, _, port = run.body["etcd"]["peerURL"].split("/")[2].rpartition(":")
    run.listener = listen(host.strip("[]"), int(port))
    _thread.start_new_thread(answer_fresh, (run, context))


def judge(run: Run, name: str, members: Any) -> None:
    """Stop when ``members``, as the master ``name`` lists them, know this one as started or not at all.

    One without a name has been added to an etcd that runs: it joins that, as ``kubeadm join`` has it.
    """
    url = run.body["etcd"]["peerURL"]
    mine = [member for member in members if url in member["peerURLs"]]
    if not mine:
        raise Stop(2, f"etcd of {name} has no member {url}", "add it there first")
    if mine[0].get("clientURLs"):
        raise Stop(
            2,
            f"etcd of {name} has seen {run.body['name']} start, here is no data: it must not start",
            f"on {name}: etcdctl member remove {mine[0]['id']:x}; "
            f"etcdctl member add {run.body['name']} --peer-urls={url}",
        )
    if "name" not in mine[0]:
        run.body["etcd"]["joins"] = True


def ask_others(run: Run) -> None:
    """Wait until every other master has answered and none knows this one as started; answer them meanwhile."""
    others = run.body["etcd"]["others"]
    missing = dict(others)
    client = pair(run, "etcd/peer")
    answer_peers(run, client)

    def probe() -> None:
        problem: Any = ""
        for name, url in list(missing.items()):
            try:
                members = json.loads(get(connect(url, pem(run, "etcd/ca.crt"), client), "/members"))
            except OSError as error:
                problem = error
            else:
                if "fresh" not in members:
                    judge(run, name, members)
                del missing[name]
        if missing:
            raise Pending(f"{', '.join(missing)}: {problem}")

    wait(run, "the other masters", probe, 9e9, "start them")
    # The last one to come would take its answer away before the others ask, and they would wait for its etcd.
    end = time.monotonic() + 5
    while len(run.asked) < len(others) and time.monotonic() < end:
        time.sleep(0.1)
    # Closing alone does not wake the thread, and the port stays taken.
    listener = run.listener
    run.listener = None
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def etcd_guard(run: Run) -> None:
    """Let etcd start with data, alone, or when the others agree, and hand it to the kubelet.

    A single member answers at once, so its API server may start beside it; three find each other first.
    """
    etcd = run.body["etcd"]
    if etcd["others"] and not os.path.isdir(run.root + etcd["dataDir"] + "/member"):
        ask_others(run)
    for file in run.body["files"]:
        if file[2] == "etcd" and "joins" in etcd:
            file[3] = re.sub('(.*--initial-cluster)=.*?("?)\n', r"\g<0>\1-state=existing\2\n", file[3])
    stage(run, "etcd")
    if not etcd["others"]:
        stage(run, "apiserver")
