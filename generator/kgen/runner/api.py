"""HTTP of masters and nodes: connections that are verified by a CA and kept open."""

import http.client
import json
import re
import ssl
from typing import Any

from .base import Pending, Run, write
from .files import pem

MERGE = {"Content-Type": "application/merge-patch+json"}


def pair(run: Run, name: str) -> str:
    """Return the path of a file with a certificate and its key: the TLS library takes nothing but a file.

    The file is below /run, which is on no disk. Only root can read it, and the step cleanup empties it.
    """
    path = run.root + "/run/kgen/client.pem"
    write(path, pem(run, name + ".crt") + pem(run, name + ".key"), 0o600)
    return path


def connect(url: str, ca: str = "", client: str = "") -> Any:
    """Return a connection to the host of ``url``. It opens with the first question.

    ``ca`` is PEM text; without it every server is trusted. ``client`` is a file with a certificate and its key.
    """
    scheme, _, host = url.split("/")[:3]
    if scheme == "http:":
        return http.client.HTTPConnection(host, timeout=9)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        context.load_verify_locations(cadata=ca)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if client:
        context.load_cert_chain(client)
    return http.client.HTTPSConnection(host, timeout=9, context=context)


def ask(link: Any, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
    """Return HTTP status and text of the answer. ``body`` is sent as JSON.

    An answer that is not HTTP is pending, as a refused connection is: a load balancer may give it.
    """
    try:
        link.request(method, path, body and json.dumps(body), headers or {})
        answer = link.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except Exception as problem:
        link.close()
        if isinstance(problem, http.client.HTTPException):
            raise Pending(repr(problem)[:300])
        raise


def message(text: str) -> str:
    """Return on one line what a server says: the message of an API server's Status, a health page's failing checks."""
    return re.sub(r'\[\+].*\n|^.*?"message":"|","reason.*|\n', "", text)[:300]


def expect(status: int, text: str) -> str:
    """Return ``text`` if the status is 200; else raise Pending with what the server says."""
    if status != 200:
        raise Pending(f"HTTP {status} {message(text)}")
    return text


def get(link: Any, path: str) -> str:
    """Return the text at ``path``; raise Pending when it cannot be had."""
    return expect(*ask(link, "GET", path))


def node_path(run: Run) -> str:
    """Return where the API has this machine's Node."""
    return f"/api/v1/nodes/{run.body['name']}"
