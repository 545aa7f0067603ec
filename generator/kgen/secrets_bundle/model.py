"""The bundle as frozen data. Key material is PEM text, as it stands in the file; nothing here decodes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

from kgen.pki.plan import Request

API_VERSION = "kgen/v1"
KIND = "SecretsBundle"


@dataclass(frozen=True, slots=True)
class Member:
    """A master of the first render: the name and the advertise address its certificates and etcd member carry."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A certificate and its key. ``certificate`` may hold its chain after it.

    ``key`` is None where it is kept elsewhere, which only a CA's can be. The dates and the algorithm say what stands
    in the certificate, for people and so that reading them needs no cryptography. ``line`` is where the entry
    stands in the file, 0 for one that was made just now.
    """

    certificate: str = field(repr=False)
    key: str | None = field(repr=False)
    algorithm: str
    not_before: datetime
    not_after: datetime
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """The key pair that signs and verifies service account tokens."""

    key: str = field(repr=False)
    public: str
    algorithm: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything of one cluster that came from randomness or the clock.

    ``authorities`` and ``certificates`` are keyed by the names of ``kgen.pki.plan``. ``tokens`` has one bootstrap
    token for each entry of ``bootstrapTokens``, ``password_hashes`` one crypt hash for each user with a password,
    ``pod_ranges`` the range of each machine's pods where kgen assigns them, also of machines that are gone.
    ``verified`` is the ``digest`` at which every key and certificate was last verified. ``file`` is where the bundle
    was read from, for messages.
    """

    masters: tuple[Member, ...]
    authorities: Mapping[str, Entry]
    certificates: Mapping[str, Entry]
    service_account: ServiceAccount
    tokens: tuple[str, ...] = field(default=(), repr=False)
    password_hashes: Mapping[str, str] = field(default_factory=dict, repr=False)
    pod_ranges: Mapping[str, str] = field(default_factory=dict)
    verified: str = ""
    file: str = field(default="", compare=False)

    @property
    def entries(self) -> dict[str, Entry]:
        """Return authorities and certificates by name."""
        return {**self.authorities, **self.certificates}


@dataclass(frozen=True, slots=True)
class Issued:
    """Entries by name, in the order of the requests, and the service account's pair: the kept one or a new one.

    ``clamped`` names the leaves that end before their validity is over, because their CA does.
    """

    entries: Mapping[str, Entry]
    service_account: ServiceAccount
    clamped: tuple[str, ...]


def digest(bundle: Bundle, requests: Iterable[Request]) -> str:
    """Return a digest of the key material and of what every certificate must say.

    As long as it is the one that was noted when everything was last verified, nothing needs verifying.
    """
    entries = {
        name: [entry.certificate, entry.key, entry.algorithm, entry.not_before.isoformat(), entry.not_after.isoformat()]
        for name, entry in bundle.entries.items()
    }
    pair = bundle.service_account
    material = [entries, [pair.key, pair.public, pair.algorithm], [asdict(request) for request in requests]]
    return "sha256:" + hashlib.sha256(json.dumps(material, sort_keys=True).encode()).hexdigest()
