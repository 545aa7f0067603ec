"""The bundle as frozen data. Key material is PEM text, as in the file; nothing here decodes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from kgen.pki.plan import Request

API_VERSION = "kgen/v1"
KIND = "SecretsBundle"
_END = "-----END CERTIFICATE-----\n"


@dataclass(frozen=True, slots=True)
class Member:
    """A master of the first render: the name and advertise address in its certificates and etcd member."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A certificate and its key. ``certificate`` may hold its chain after it.

    ``key`` is None if it is kept outside the bundle, which is possible for CAs only. The dates and the algorithm repeat
    the certificate's, so that reading them needs no cryptography. ``is_accepted``: kgen has not issued this leaf, and
    it may say more than kgen asks for. ``is_intermediate``: another CA signed this CA. ``line`` is the line in the file
    where the entry starts, 0 for a new entry.
    """

    certificate: str = field(repr=False)
    key: str | None = field(repr=False)
    algorithm: str
    not_before: datetime
    not_after: datetime
    is_accepted: bool = False
    is_intermediate: bool = False
    line: int = field(default=0, compare=False)

    @property
    def alone(self) -> str:
        """Return the certificate without its chain."""
        return self.certificate.partition(_END)[0] + _END


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """The key pair that signs and verifies service account tokens."""

    key: str = field(repr=False)
    public: str
    algorithm: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """A provider of an EncryptionConfiguration, and the only key it has there; ``identity`` has none.

    ``secret`` is base64.
    """

    provider: str
    name: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OldToken:
    """A bootstrap token that was replaced ``since`` then, and is not revoked yet: its public half.

    ``pool`` is whose token it was; empty: that of ``bootstrapTokens``.
    """

    token_id: str
    since: datetime
    pool: str = ""


@dataclass(frozen=True, slots=True)
class SealKey:
    """The private key that opens what is sealed for one machine, or for the machines of one pool.

    ``recipient`` is what each sealed payload says of this key: base64 of the DER of ``kgen.pki.cms.recipient``.
    """

    key: str = field(repr=False)
    recipient: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything of one cluster that cannot be computed again.

    ``authorities`` and ``certificates`` are keyed by the names of ``kgen.pki.plan``. ``tokens`` has one bootstrap
    token for each entry of ``bootstrapTokens``, ``pool_tokens`` that of each pool with one of its own, ``old_tokens``
    those that were replaced. ``requests`` has the private key of each certificate that was requested
    from a CA outside and has not come back, ``encryption_keys`` what encrypts objects in etcd, the first
    one now, ``seal_keys`` one key for each machine and pool, by its name, ``password_hashes`` one crypt hash for each
    user with a password,
    ``pod_ranges`` the range of each machine's pods if kgen assigns them, also of removed machines. ``seen_running`` is
    when kgen first saw the cluster run: documents rendered after that do not let an empty etcd start. ``recipients``
    are those of age, if the file is encrypted for recipients. ``verified`` is the ``digest`` of the last verification
    of all keys and certificates. ``file`` is the file that the bundle was read from, for messages.
    """

    masters: tuple[Member, ...]
    authorities: Mapping[str, Entry]
    certificates: Mapping[str, Entry]
    service_account: ServiceAccount
    tokens: tuple[str, ...] = field(default=(), repr=False)
    pool_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    old_tokens: tuple[OldToken, ...] = ()
    requests: Mapping[str, str] = field(default_factory=dict, repr=False)
    encryption_keys: tuple[EncryptionKey, ...] = field(default=(), repr=False)
    seal_keys: Mapping[str, SealKey] = field(default_factory=dict)
    password_hashes: Mapping[str, str] = field(default_factory=dict, repr=False)
    pod_ranges: Mapping[str, str] = field(default_factory=dict)
    seen_running: datetime | None = None
    recipients: tuple[str, ...] = ()
    verified: str = ""
    file: str = field(default="", compare=False)

    @property
    def entries(self) -> dict[str, Entry]:
        """Return authorities and certificates by name."""
        return {**self.authorities, **self.certificates}

    @property
    def rendered_as(self) -> tuple[Bundle, ...]:
        """Return the bundles that present output may come from: this one, and it before the cluster was seen running.

        Verbs such as `kgen status` record that between renders, and only a first boot needs to know.
        """
        return (self,) if self.seen_running is None else (self, replace(self, seen_running=None))

    @property
    def external_authorities(self) -> frozenset[str]:
        """Return the names of the CAs whose keys are kept outside the bundle."""
        return frozenset(name for name, entry in self.authorities.items() if entry.key is None)

    @property
    def intermediate_authorities(self) -> frozenset[str]:
        """Return the names of the CAs that other CAs signed."""
        return frozenset(name for name, entry in self.authorities.items() if entry.is_intermediate)


@dataclass(frozen=True, slots=True)
class Issued:
    """Entries by name, in the order of the requests, and the service account's pair: the kept one or a new one.

    ``clamped`` names the leaves whose validity was shortened, because their CA expires earlier.
    """

    entries: Mapping[str, Entry]
    service_account: ServiceAccount
    clamped: tuple[str, ...]


def digest(bundle: Bundle, requests: Iterable[Request]) -> str:
    """Return a digest of the key material and of the requests.

    While it equals the digest of the last verification, nothing needs to be verified again.
    """
    entries = {
        name: [
            *(entry.certificate, entry.key, entry.algorithm),
            *(entry.not_before.isoformat(), entry.not_after.isoformat()),
            *(["accepted"] if entry.is_accepted else []),
        ]
        for name, entry in bundle.entries.items()
    }
    pair = bundle.service_account
    material = [entries, [pair.key, pair.public, pair.algorithm], [asdict(request) for request in requests]]
    return "sha256:" + hashlib.sha256(json.dumps(material, sort_keys=True).encode()).hexdigest()
