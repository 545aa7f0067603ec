"""Who may take which document, and how far each machine is. This module knows no HTTP.

A machine's URL has a token. The token is good for one complete transfer of what has secrets; after it the other
documents can be read for a while, because cloud-init reads vendor-data last and may read again what it read before.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address, ip_address
from typing import Literal, get_args

from kgen.model import Address

Stage = Literal["not seen", "loader", "seed", "user-data taken", "first boot", "first boot ended", "Ready"]
STAGES: tuple[Stage, ...] = get_args(Stage)
Refusal = Literal["unknown", "address", "taken"]

ONCE = ("user-data", "object")
"""What has the secrets of a machine: its user-data, or the payload that its stub fetches."""
DOCUMENTS = ("meta-data", "network-config", "vendor-data", *ONCE)
LATER_SECONDS = 300.0
"""The time after the user-data was taken in which the other documents can be read."""
_PATIENCE_SECONDS = 30.0  # for vendor-data, which cloud-init reads right after the user-data
_TOLD_SECONDS = 10.0
_MOST_TOLD = 1000
_MOST_TOLD_OF_ADDRESS = 20
_MOST_UNKNOWN = 10
_TOKEN_BYTES = 24  # 192 random bits: nobody guesses them over a network


@dataclass(frozen=True, slots=True)
class Target:
    """A machine to serve: its addresses, and what tells it from others before it has an operating system."""

    name: str
    addresses: tuple[Address, ...] = ()
    mac: str = ""
    serial: str = ""
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``machine`` is empty if nobody knows which machine it was. It never has a token."""

    machine: str
    stage: Stage
    text: str
    address: str = ""
    is_refusal: bool = False


@dataclass(slots=True)
class Entry:
    """The state of one machine. ``pinned`` is the address that used the token first, if the file gives none."""

    target: Target
    token: str = field(repr=False)
    stage: Stage = "not seen"
    last: str = ""
    seen_from: str = ""
    pinned: Address | None = None
    taken_at: float | None = None
    taken: set[str] = field(default_factory=set)

    @property
    def is_served(self) -> bool:
        """Return whether the machine has taken its user-data."""
        return self.taken_at is not None


class Registry:
    """The machines by name. ``on_event`` is called with everything that happens."""

    def __init__(
        self,
        targets: Iterable[Target],
        tokens: Mapping[str, str] = {},
        *,
        any_address: bool = False,
        on_event: Callable[[Event], None] = lambda event: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Give each machine a new token, unless ``tokens`` has its own. ``any_address``: addresses do not count."""
        self._entries = {
            each.name: Entry(each, tokens.get(each.name) or secrets.token_urlsafe(_TOKEN_BYTES)) for each in targets
        }
        self._any_address = any_address
        self._on_event = on_event
        self._clock = clock
        self._told: dict[Event, float] = {}
        self._told_of: dict[str, tuple[float, int]] = {}
        self._unknown: dict[str, str] = {}

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Return the machines by name."""
        return self._entries

    @property
    def unknown(self) -> Mapping[str, str]:
        """Return the addresses of machines that the cluster file does not list, with what they last asked for.

        They are the last ten. A machine of a pool that has no name yet is one of them.
        """
        return self._unknown

    @property
    def all_are_served(self) -> bool:
        """Return whether every machine has its user-data, and what cloud-init reads after it or the time for it."""
        now = self._clock()
        return all(
            each.taken_at is not None
            and (not each.taken.isdisjoint(("vendor-data", "object")) or now - each.taken_at > _PATIENCE_SECONDS)
            for each in self._entries.values()
        )

    def find(self, *, macs: Iterable[str] = (), serial: str = "", uuid: str = "") -> Entry | None:
        """Return the machine with one of these numbers; None if there is none, or if they are those of several.

        A number that the cluster file gives and that is another one here excludes the machine. Numbers are compared
        without case; an empty number is none.
        """
        seen = {
            "mac": {mac.lower() for mac in macs if mac},
            "serial": {serial.lower()} - {""},
            "uuid": {uuid.lower()} - {""},
        }
        found = []
        for entry in self._entries.values():
            known = {key: getattr(entry.target, key).lower() for key in seen}
            compared = [known[key] in seen[key] for key in seen if known[key] and seen[key]]
            if compared and all(compared):
                found.append(entry)
        return found[0] if len(found) == 1 else None

    def admit(self, name: str, token: str, document: str, address: str) -> Entry | Refusal:
        """Return the machine that may take ``document``, or why it may not.

        The first use of a token pins the address, if the cluster file gives none.
        """
        entry = self._entries.get(name)
        if (
            not hmac.compare_digest((entry.token if entry else "").encode(), token.encode("utf-8", "replace"))
            or not entry
        ):
            whose = name if entry else "a machine that is not served"
            self.stranger(f"asked for {document} of {whose} with a token that is not valid", address)
            return "unknown"
        if not self.has_right_address(entry, address):
            wanted = ", ".join(map(str, self._wanted(entry)))
            self.refuse(entry, f"asked for {document} from {address}, but its address is {wanted}", address)
            return "address"
        if entry.taken_at is not None and self._is_over(entry, document):
            self.refuse(entry, f"asked for {document} again, after its user-data was taken", address)
            return "taken"
        if not entry.target.addresses and entry.pinned is None:
            entry.pinned = plain(address)
        return entry

    def has_right_address(self, entry: Entry, address: str) -> bool:
        """Return whether the machine may ask from ``address``."""
        wanted = self._wanted(entry)
        return self._any_address or not wanted or plain(address) in wanted

    def loader(self, entry: Entry, address: str) -> None:
        """Record that the machine's loader has got its boot script."""
        self._advance(entry, "loader", "got its boot script", address)

    def unlisted(self, text: str, address: str) -> None:
        """Record a machine that asked for its boot script, but is not in the cluster file."""
        self._unknown.pop(address, None)
        self._unknown[address] = text
        if len(self._unknown) > _MOST_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        self.stranger(text, address)

    def stranger(self, text: str, address: str) -> None:
        """Record a request of a machine that is not in the cluster file."""
        self._tell(Event("", "not seen", text, address, is_refusal=True))

    def took(self, entry: Entry, document: str, size: int, address: str) -> None:
        """Record that the machine has received a document completely."""
        if document in ONCE:
            entry.taken_at = self._clock()
        entry.taken.add(document)
        stage: Stage = "user-data taken" if entry.is_served else "seed"
        self._advance(entry, stage, f"took {document} ({size:,} bytes)", address)

    def broke_off(self, entry: Entry, document: str, address: str) -> None:
        """Record that a transfer ended before the machine had everything; it may ask again."""
        self._advance(entry, entry.stage, f"broke off while it took {document}; it may take it again", address)

    def reported(self, entry: Entry, text: str, address: str, *, is_done: bool = False) -> None:
        """Record what the first boot is doing now, or that it is done."""
        self._advance(entry, "first boot ended" if is_done else "first boot", text, address)

    def ready(self, name: str) -> None:
        """Record that the machine's Node is Ready."""
        entry = self._entries.get(name)
        if entry and entry.stage != "Ready":
            self._advance(entry, "Ready", "is Ready", "")

    def _is_over(self, entry: Entry, document: str) -> bool:
        if document == "first-boot":
            return False
        return document in ONCE or self._clock() - (entry.taken_at or 0) > LATER_SECONDS

    def _wanted(self, entry: Entry) -> tuple[Address, ...]:
        return entry.target.addresses or ((entry.pinned,) if entry.pinned else ())

    def _advance(self, entry: Entry, stage: Stage, text: str, address: str) -> None:
        if STAGES.index(stage) > STAGES.index(entry.stage):
            entry.stage = stage
        entry.last = text
        entry.seen_from = address or entry.seen_from
        self._on_event(Event(entry.target.name, entry.stage, text, address))

    def refuse(self, entry: Entry, text: str, address: str) -> None:
        """Record that the machine did not get what it asked for."""
        entry.last = f"refused: {text}"
        self._tell(Event(entry.target.name, entry.stage, text, address, is_refusal=True))

    def _tell(self, refusal: Event) -> None:
        """Report a refusal, unless it would flood the log.

        In ten seconds the same one is reported once, and twenty of one address.
        """
        now = self._clock()
        for told in (self._told, self._told_of):
            if len(told) >= _MOST_TOLD:
                told.clear()
        if now - self._told.get(refusal, -_TOLD_SECONDS) < _TOLD_SECONDS:
            return
        since, count = self._told_of.get(refusal.address, (now, 0))
        if now - since >= _TOLD_SECONDS:
            since, count = now, 0
        self._told_of[refusal.address] = since, count + 1
        if count < _MOST_TOLD_OF_ADDRESS:
            self._told[refusal] = now
            self._on_event(refusal)
        elif count == _MOST_TOLD_OF_ADDRESS:
            text = "asks too often: its refusals of the next seconds are not shown"
            self._on_event(replace(refusal, text=text))


def plain(address: str) -> Address | None:
    """Return the address of a client, an IPv4 address as such; None for something else."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed
