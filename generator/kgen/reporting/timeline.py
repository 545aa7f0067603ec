"""Certificates on a time line: a bar for each kind of certificate, from its issue to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kgen.secrets_bundle.inventory import CertificateInfo

WIDTH = 960
LEFT, RIGHT = 250, 110
ROW = 24
_MOST_TICKS = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """The certificates of one kind that end on the same day. Coordinates are of the bar."""

    label: str
    names: tuple[str, ...]
    start: datetime
    end: datetime
    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The bars below one another, and dates at places of the axis."""

    title: str
    height: int
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]


def timelines(found: Sequence[CertificateInfo]) -> tuple[Timeline, ...]:
    """Return the line of the certificates that end first, and that of the CAs, which last ten times as long."""
    leaves = [info for info in found if info.ca]
    authorities = [info for info in found if not info.ca]
    parts = (("Certificates", leaves), ("Certificate authorities", authorities))
    return tuple(_timeline(title, listed) for title, listed in parts if listed)


def _timeline(title: str, found: Sequence[CertificateInfo]) -> Timeline:
    first = min(info.not_before for info in found)
    last = max(info.not_after for info in found)
    span = (last - first).total_seconds()

    def place(moment: datetime) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (moment - first).total_seconds() / span

    groups: dict[tuple[str, str], list[CertificateInfo]] = {}
    for info in found:
        groups.setdefault((_kind(info), f"{info.not_after:%Y-%m-%d}"), []).append(info)
    ordered = sorted(groups.items(), key=lambda group: (group[0][1], group[0][0]))
    bars = []
    for number, ((kind, _), members) in enumerate(ordered):
        start, end = members[0].not_before, members[0].not_after
        label = f"{kind} ({len(members)})" if len(members) > 1 else kind
        names = tuple(info.name for info in members)
        bars.append(Bar(label, names, start, end, place(start), 30 + number * ROW, place(end) - place(start)))
    return Timeline(title, 30 + len(bars) * ROW + 8, tuple(bars), tuple(_ticks(first, last, place)))


def _kind(info: CertificateInfo) -> str:
    """Return the name of a certificate without its master's: ``m1/etcd/server`` is ``etcd/server``."""
    from kgen.pki.table import CERTS

    kinds = {spec.name for spec in CERTS}
    return info.name if info.name in kinds else info.name.partition("/")[2]


def _ticks(first: datetime, last: datetime, place: Callable[[datetime], float]) -> Iterator[tuple[float, str]]:
    """Yield place and text of the first days of some months, or of some years."""
    step = max(1, round((last - first) / timedelta(days=30.4) / _MOST_TICKS))
    step = step if step < 12 else 12 * round(step / 12)
    month = first.year * 12 + first.month  # counted from the year 0: the month after the first
    while (moment := datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)) <= last:
        if month % step == 0:
            yield place(moment), f"{moment:%Y}" if step >= 12 else f"{moment:%b %Y}"
        month += 1
