"""The cluster as a picture: boxes and lines with places, which the template draws as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kgen.model import Cluster, Machine

WIDTH = 960
_BOX_WIDTH, _BOX_HEIGHT, _GAP = 172, 62, 16
_COLUMNS = 5
_MOST_NODES = 15
_LEFT = 20
_NAME, _DETAIL, _ENDPOINT, _LINE = 16, 23, 46, 112
"""The characters that fit: in a box as its name and as another line, in the box of the endpoint, and in a band."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box with lines of text; ``kind`` chooses its colours. Coordinates are of its upper left corner."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    is_stack: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line from one point to another."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class Picture:
    """The boxes and lines of the picture, and its size."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def picture(cluster: Cluster) -> Picture:
    """Return the picture: endpoint, masters, etcd, nodes and pools, and the networks below them."""
    boxes: list[Box] = []
    top = 10.0
    endpoint = Box("endpoint", _centred(360), top, 360, 48, ("API endpoint", _short(str(cluster.endpoint), _ENDPOINT)))
    boxes.append(endpoint)
    top += 48 + 44
    masters = list(_rows(cluster.masters, "master", top))
    boxes += masters
    lines = [
        Line(WIDTH / 2, endpoint.y + endpoint.height, box.x + box.width / 2, box.y) for box in masters if box.y == top
    ]
    top = masters[-1].y + _BOX_HEIGHT + 14
    etcd = "etcd: a member on each master"
    if cluster.external_etcd is not None:
        etcd = f"etcd outside of the masters: {_listed(cluster.external_etcd.endpoints, 2)}"
    boxes.append(_band("etcd", top, (etcd,)))
    top += 30 + 26
    nodes = [machine for machine in cluster.machines if machine.role == "node"]
    shown = [*nodes[:_MOST_NODES], *cluster.pools[:_MOST_NODES]]
    if shown:
        boxes += _rows(shown, "node", top)
        top = boxes[-1].y + _BOX_HEIGHT + 12
    hidden = len(nodes) + len(cluster.pools) - len(shown)
    if hidden:
        boxes.append(_band("more", top, (f"and {hidden:,} more",)))
        top += 30 + 12
    top += 10
    for kind, text in _networks(cluster):
        boxes.append(_band(kind, top, (text,)))
        top += 30 + 8
    return Picture(WIDTH, int(top + 6), tuple(boxes), tuple(lines))


def _centred(width: float) -> float:
    return (WIDTH - width) / 2


def _band(kind: str, top: float, lines: tuple[str, ...]) -> Box:
    return Box(kind, _LEFT, top, WIDTH - 2 * _LEFT, 30, tuple(_short(line, _LINE) for line in lines))


def _rows(machines: Sequence[Machine], kind: str, top: float) -> Iterator[Box]:
    for start in range(0, len(machines), _COLUMNS):
        row = machines[start : start + _COLUMNS]
        left = _centred(len(row) * (_BOX_WIDTH + _GAP) - _GAP)
        for number, machine in enumerate(row):
            x = left + number * (_BOX_WIDTH + _GAP)
            y = top + start // _COLUMNS * (_BOX_HEIGHT + 14)
            yield Box(
                "pool" if machine.is_pool else kind, x, y, _BOX_WIDTH, _BOX_HEIGHT, _texts(machine), machine.is_pool
            )


def _texts(machine: Machine) -> tuple[str, ...]:
    first = _short(machine.name, _NAME)
    if machine.is_pool:
        return first, "pool: any number", "addresses by DHCP"
    address = ", ".join(map(str, machine.addresses)) or "address by DHCP"
    last = f"pods {machine.pod_cidr}" if machine.pod_cidr else "control plane" if machine.role == "master" else "node"
    return first, _short(address, _DETAIL), _short(last, _DETAIL)


def _networks(cluster: Cluster) -> Iterator[tuple[str, str]]:
    services = ", ".join(map(str, cluster.networking.service_subnets))
    yield "services", f"Services {services} · DNS {cluster.dns_address} · {cluster.networking.dns_domain}"
    pods = ", ".join(map(str, cluster.networking.pod_subnets)) or "a range of the network plug-in's"
    plugin = "bridges and routes made by kgen" if cluster.networking.plugin == "bridge" else "network plug-in: yours"
    yield "pods", f"Pods {pods} · {plugin}"


def _listed(texts: Sequence[str], most: int) -> str:
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _short(text: str, most: int) -> str:
    """Return the text, or its two ends: names and addresses often differ in their last characters only."""
    if len(text) <= most:
        return text
    last = (most - 1) // 2
    return f"{text[: most - 1 - last]}…{text[-last:]}"
