"""HTTP of nodes: one question a connection, in HTTP/1.0 (RFC 1945), where the answer ends with the connection.

A node asks little, and all of it while its kubelet starts on what may be one processor: to load http.client with
email's parsers takes as long as all else that a node's first boot needs.
"""

import socket
from typing import Any

from .base import Pending


def ask(url: str, context: Any, method: str, path: str, headers: str = "", body: str = "") -> Any:
    """Return HTTP status and text of the answer. ``headers`` are whole lines, ``body`` is ASCII."""
    host, _, port = url[8:].rpartition(":")
    host = host.strip("[]")
    plain = socket.create_connection((host, port), 9)
    # An answer cut short is an error, not an end.
    with context.wrap_socket(plain, server_hostname=host, suppress_ragged_eofs=False) as link:
        link.sendall(f"{method} {path} HTTP/1.0\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        head, _, text = link.makefile(encoding="utf-8").read().partition("\n\n")
    if not head.startswith("HTTP/"):
        raise Pending(f"no HTTP but {head[:99]!r}")
    return int(head.split()[1]), text
