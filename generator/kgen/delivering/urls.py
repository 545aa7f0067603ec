"""The URL of a server, as people give it."""

from __future__ import annotations

from urllib.parse import urlsplit

_SPECIAL = frozenset(" ;\"'\\${}?#")  # to a shell, iPXE or dnsmasq, or not part of a server's URL


def is_of_server(url: str, *schemes: str) -> bool:
    """Return whether ``url`` is that of a server, with one of ``schemes``."""
    is_plain = url.isascii() and url.isprintable() and not _SPECIAL & set(url)
    try:
        parts = urlsplit(url)
        return is_plain and parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of an IPv6 address or a port
        return False
