"""HTTP: connections that are verified by a CA and kept open, JSON in and out."""

import http.client
import json
import ssl
import urllib.parse
from typing import Any

from .base import Pending


def connect(url: str, ca: str = "", pair: Any = ()) -> http.client.HTTPConnection:
    """Return a connection to the host of ``url``, not opened yet.

    ``ca`` is the PEM text the server is verified with; without it nothing is. ``pair`` names the
    client's certificate and key: one file or two.
    """
    place = urllib.parse.urlsplit(url)
    if place.scheme == "http":
        return http.client.HTTPConnection(place.netloc, timeout=9)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        context.load_verify_locations(cadata=ca)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if pair:
        context.load_cert_chain(*pair)
    return http.client.HTTPSConnection(place.netloc, timeout=9, context=context)


def ask(link: Any, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """Return (HTTP status, parsed JSON or text). Underscores in names of ``headers`` become dashes."""
    try:
        heads = {name.replace("_", "-"): value for name, value in headers.items()}
        link.request(method, path, body and json.dumps(body), {"Content-Type": "application/json", **heads})
        answer = link.getresponse()
        text = answer.read().decode()
    except BaseException:
        link.close()
        raise
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text


def get(link: Any, path: str, **headers: str) -> Any:
    """Return the answer to GET ``path``; raises Pending unless it is 200."""
    status, data = ask(link, "GET", path, **headers)
    if status != 200:
        raise Pending(refusal(status, data))
    return data


def refusal(status: int, data: Any) -> str:
    """Return what the server said, on one line: an API server's message, or the checks of a health page that fail."""
    text = data["message"] if isinstance(data, dict) and "message" in data else str(data)
    lines = (line for line in text.splitlines() if line[:3] != "[+]")
    return f"HTTP {status} " + " ".join(lines)[:300]
