"""The table of places that payloads are published in. Another place is a module beside this one, and a row here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from kgen.publishing.bucket import Bucket
from kgen.publishing.secrets_manager import SecretsManager
from kgen.publishing.served import Served
from kgen.user_data.stub import Store

PlaceName = Literal["s3", "secretsmanager", "serve"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the user wants payloads. Empty: the default.

    ``bucket`` and its ``owner`` are for S3 only. ``url``, ``pin`` and ``secret`` are for ``kgen serve``, see ``Store``.
    """

    to: PlaceName = "s3"
    bucket: str = ""
    region: str = ""
    kms_key: str = ""
    owner: str = ""
    url: str = ""
    pin: str = ""
    secret: str = field(default="", repr=False)


class Place(Protocol):
    """A place of objects, which are named by their content. ``url`` begins the names of its objects for people."""

    url: str
    region: str
    warnings: tuple[str, ...]
    store: Store

    def has(self, key: str, content: bytes) -> bool:
        """Return whether the object is there with this content, encrypted with the wanted key."""

    def put(self, key: str, content: bytes) -> None:
        """Put the object."""

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that are there and begin with ``prefix``, if the place may be asked for them."""

    def remove(self, keys: Collection[str], prefix: str) -> None:
        """Remove these objects, whose keys begin with ``prefix``."""


PLACES: Mapping[PlaceName, Callable[[Target], Place]] = {
    "s3": lambda it: Bucket(it.bucket, region=it.region, kms_key=it.kms_key, owner=it.owner),
    "secretsmanager": lambda it: SecretsManager(region=it.region, kms_key=it.kms_key),
    "serve": lambda it: Served(it.url, it.pin, it.secret),
}
