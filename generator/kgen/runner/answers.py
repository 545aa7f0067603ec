"""What servers are trusted, and what their answers say."""

import re
from typing import Any

from .base import Pending, Run


def trust(ca: str, own: str = "") -> Any:
    """Return a client's TLS context that trusts the CAs of this PEM text, and no server where there are none.

    ``own`` is a file with the client's certificate and key.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        context.load_verify_locations(cadata=ca)
    if own:
        context.load_cert_chain(own)
    return context


def expect(status: int, text: str) -> str:
    """Return ``text`` if the status is 200; else raise what the server says, on one line.

    That is the message of an API server's Status, or the failing checks of a health page.
    """
    if status != 200:
        raise Pending(f"HTTP {status} " + re.sub(r'\[\+].*\n|.*"message":"|","reason.*|\n', "", text)[:300])
    return text


def node_path(run: Run) -> Any:
    """Return where the API has this machine's Node."""
    return "/api/v1/nodes/" + run.body["name"]
