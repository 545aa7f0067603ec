"""The etcd guard: a member that has been started once must never start again with an empty log.

It would have forgotten its votes. etcd answers GET /members on its peer port, also without quorum; a member there has
``clientURLs`` from its first start on (seen with etcd 3.7.0).
"""

import _thread
import json
import os
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
    """Stop when ``members``, as the master ``name`` lists them, know this one as started or not at all."""
    url = run.body["etcd"]["peerURL"]
    mine = [member for member in members if url in member["peerURLs"]]
    if not mine:
        raise Stop(2, f"etcd of {name} has no member {url}", "add it there first")
    if mine[0].get("clientURLs"):
        raise Stop(
            2,
            f"etcd of {name} has seen {run.body['name']} start, here is no data: it must not start",
            f"on {name}: etcdctl member remove {mine[0]['id']:x}",
        )


def etcd_guard(run: Run) -> None:
    """Let etcd start with data, alone, or when every other master has answered and none knows this one as started."""
    missing = dict(run.body["etcd"]["others"])
    if not missing or os.path.isdir(run.root + run.body["etcd"]["dataDir"] + "/member"):
        return
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
    while len(run.asked) < len(run.body["etcd"]["others"]) and time.monotonic() < end:
        time.sleep(0.1)


def write_etcd(run: Run) -> None:
    """Free the peer port and hand etcd to the kubelet.

    A single member answers at once, so its API server may start beside it; three find each other first.
    """
    listener = run.listener
    run.listener = None
    if listener:
        # Closing alone does not wake the thread, and the port stays taken.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    stage(run, "etcd")
    if not run.body["etcd"]["others"]:
        stage(run, "apiserver")
