"""Divide the pods' network among machines. Arithmetic only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kgen.model import Network

PREFIX_LENGTH = {4: 24, 6: 64}
"""The length of one machine's range by address family: kube-controller-manager's defaults."""


def free(subnet: Network, taken: Iterable[Network]) -> Iterator[Network]:
    """Yield the ranges of ``subnet`` for one machine each that overlap none of ``taken``, in order.

    None where ``subnet`` itself is smaller than one range. ``taken`` is of the same address family.
    """
    length = PREFIX_LENGTH[subnet.version]
    size = 1 << (subnet.max_prefixlen - length)
    start, end = int(subnet.network_address), int(subnet.broadcast_address) + 1
    for first, last in [*sorted(_bounds(network) for network in taken), (end, end)]:
        while start + size <= min(first, end):
            yield type(subnet)((start, length))
            start += size
        if last >= start:
            start += (last - start + size) // size * size


def _bounds(network: Network) -> tuple[int, int]:
    return int(network.network_address), int(network.broadcast_address)
