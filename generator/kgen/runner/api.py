"""HTTP: connections that are verified by a CA and kept open."""

import http.client
import json
import re
import ssl
from typing import Any

from .base import Pending, Run

MERGE = {"Content-Type": "application/merge-patch+json"}


def connect(url: str, ca: str = "", pair: str = "") -> Any:
    """Return a connection to the host of ``url``, not opened yet.

    ``ca`` is the PEM text that the server is verified with; without it nothing is. ``pair`` is a file with the
    client's certificate and key.
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
    if pair:
        context.load_cert_chain(pair)
    return http.client.HTTPSConnection(host, timeout=9, context=context)


def ask(link: Any, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
    """Return HTTP status and text of the answer; an API server takes a body of no type for JSON."""
    try:
        link.request(method, path, body and json.dumps(body), headers or {})
        answer = link.getresponse()
        return answer.status, answer.read().decode()
    except Exception:
        link.close()
        raise


def expect(status: int, text: str) -> str:
    """Return ``text`` if the status is 200; else raise what the server says, on one line.

    That is the message of an API server's Status, or the failing checks of a health page.
    """
    if status != 200:
        raise Pending(f"HTTP {status} " + re.sub(r'\[\+].*\n|.*"message":"|","reason.*|\n', "", text)[:300])
    return text


def get(link: Any, path: str) -> str:
    """Return the text at ``path``; raise Pending when it cannot be had."""
    return expect(*ask(link, "GET", path))


def node_path(run: Run) -> Any:
    """Return where the API has this machine's Node."""
    return "/api/v1/nodes/" + run.body["name"]
