"""``kgen serve`` as the place of payloads: what is published on this disk is what it gives to machines."""

from __future__ import annotations

from collections.abc import Collection

from kgen.user_data.stub import Store


class Served:
    """A server that may not run yet, at ``url`` and with the certificate of ``pin``. Nothing has to be put anywhere."""

    def __init__(self, url: str, pin: str, secret: str) -> None:
        """Name the server. ``secret``: what the tokens of machines are made of."""
        self.url = url
        self.region = ""
        self.warnings: tuple[str, ...] = ()
        self.store = Store(url, service="serve", pin=pin, secret=secret)

    def has(self, key: str, content: bytes) -> bool:
        """Return True: it has what this disk has."""
        return True

    def put(self, key: str, content: bytes) -> None:
        """Do nothing."""

    def keys(self, prefix: str) -> list[str]:
        """Return nothing: it has no objects of others."""
        return []

    def remove(self, keys: Collection[str], prefix: str) -> None:
        """Do nothing."""
