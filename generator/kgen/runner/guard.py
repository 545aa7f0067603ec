"""The etcd guard: a member that has been started once must never start again with an empty log.

It would have forgotten its votes. etcd answers GET /members on its peer port, also without quorum; a member lists
``clientURLs`` from the moment it has started for the first time (seen with etcd 3.7.0).
"""

import http.client
import json
import os
import socket
import ssl
import threading
import time
import urllib.parse
from typing import Any

from .api import connect, get
from .base import Pending, Run, Stop, tell
from .files import pem, stage


def peer_pair(run: Run) -> Any:
    """Return the files of this member's certificate and key."""
    path = run.root + "/etc/kubernetes/pki/etcd/peer"
    return path + ".crt", path + ".key"


def answer_fresh(listener: Any, context: Any, name: str) -> None:
    """Tell the other masters, until the listener is shut, that this one has no data."""
    text = json.dumps({"fresh": True, "name": name})
    reply = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode()
    while True:
        try:
            raw = listener.accept()[0]
        except OSError:
            return
        raw.settimeout(3)
        try:
            with context.wrap_socket(raw, server_side=True) as peer:
                # An etcd that runs already asks for its streams here: it must not take this for a member.
                if peer.recv(4096).startswith(b"GET /members "):
                    peer.sendall(reply)
        except OSError:
            pass


def listen(run: Run) -> None:
    """Answer at this member's peer URL in the background; both sides show certificates of etcd's CA."""
    place = urllib.parse.urlsplit(run.body["etcd"]["peerURL"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*peer_pair(run))
    context.load_verify_locations(cadata=pem(run, "etcd/ca.crt"))
    context.verify_mode = ssl.CERT_REQUIRED
    host = place.hostname or ""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    run.listener = socket.create_server((host, place.port or 0), family=family)
    threading.Thread(target=answer_fresh, args=(run.listener, context, run.body["name"]), daemon=True).start()


def judge(run: Run, name: str, members: Any) -> None:
    """Stop when ``members``, as the master ``name`` lists them, know this one as started or not at all."""
    url = run.body["etcd"]["peerURL"]
    mine = [member for member in members if url in member["peerURLs"]]
    if not mine:
        raise Stop(2, f"etcd of {name} runs without the member {url}", "a new member must be added there first")
    if mine[0].get("clientURLs"):
        raise Stop(
            2,
            f"{name} knows the etcd member {run.body['name']} ({url}) as started, but its data is gone here",
            f"do not start etcd; on {name}: etcdctl member remove {mine[0]['id']:x}, then replace the member",
        )


def etcd_guard(run: Run) -> None:
    """Let etcd start with data, alone, or when every other master has answered and none knows this one as started."""
    etcd = run.body["etcd"]
    missing = dict(etcd["others"])
    if not missing or os.path.isdir(run.root + etcd["dataDir"] + "/member"):
        return
    listen(run)
    error: Any = ""
    while missing:
        for name, url in list(missing.items()):
            try:
                members = get(connect(url, pem(run, "etcd/ca.crt"), peer_pair(run)), "/members")
                if isinstance(members, list):
                    judge(run, name, members)
                del missing[name]
            except (OSError, http.client.HTTPException, Pending) as problem:
                error = problem
        if missing:
            tell(run, "waiting", f"etcd waits for {', '.join(missing)}: {error}", "start these masters")
            time.sleep(0.5)


def write_etcd(run: Run) -> None:
    """Free the peer port and hand etcd to the kubelet."""
    if run.listener:
        # Closing alone does not wake the thread, and the port would stay taken.
        run.listener.shutdown(socket.SHUT_RDWR)
        run.listener.close()
    stage(run, "etcd")
