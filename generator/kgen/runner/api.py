"""HTTP of masters: connections that are verified by a CA and kept open.

http.client is imported with the first of them, when the kubelet has been started (a master of several: before): it
brings email's parsers, and takes as long as all else that a master's first boot needs until then.
"""

import json
from typing import Any

from .answers import expect, trust
from .base import Pending, Run, write
from .files import pem

MERGE = {"Content-Type": "application/merge-patch+json"}


def pair(run: Run, name: str) -> str:
    """Return the path of a file with a certificate and its key: there is no other way into the TLS library.

    It is on no disk, for root only, and emptied in the end.
    """
    path = run.root + "/run/kgen/client.pem"
    write(path, pem(run, name + ".crt") + pem(run, name + ".key"), 0o600)
    return path


def connect(url: str, ca: str = "", client: str = "") -> Any:
    """Return a connection to the host of ``url``, not opened yet; without a CA every server is trusted.

    ``client`` is a file with the client's certificate and key.
    """
    import http.client
    import ssl

    scheme, _, host = url.split("/")[:3]
    if scheme == "http:":
        return http.client.HTTPConnection(host, timeout=9)
    context = trust(ca, client)
    if not ca:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, timeout=9, context=context)


def ask(link: Any, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
    """Return HTTP status and text of the answer; an API server takes a body of no type for JSON.

    What is no HTTP is pending, as a connection that is refused.
    """
    import http.client

    try:
        link.request(method, path, body and json.dumps(body), headers or {})
        answer = link.getresponse()
        return answer.status, answer.read().decode()
    except Exception as problem:
        link.close()
        if isinstance(problem, http.client.HTTPException):
            raise Pending(repr(problem))
        raise


def get(link: Any, path: str) -> str:
    """Return the text at ``path``; raise Pending when it cannot be had."""
    return expect(*ask(link, "GET", path))
