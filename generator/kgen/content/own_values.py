"""Texts with values that only the machine knows → contents of the payload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kgen.config.own_values import OWN_VALUE
from kgen.model import Cluster
from kgen.payload import Content, OwnValue


def for_label(text: str) -> str:
    """Return the text with its own values marked as parts of a label."""
    return text.replace("{metadata:", "{label:")


def content(text: str, cluster: Cluster) -> Content:
    """Return the text with an OwnValue in the place of each own value."""
    return tuple(_pieces(text, _settings(cluster))) or (text,)


def _pieces(text: str, settings: Mapping[str, Mapping[str, Any]]) -> Iterator[str | OwnValue]:
    end = 0
    for found in OWN_VALUE.finditer(text):
        yield text[end : found.start()]
        yield OwnValue(found[1], found[2], settings.get(found[1], {}))
        end = found.end()
    if end < len(text):
        yield text[end:]


def _settings(cluster: Cluster) -> Mapping[str, Mapping[str, Any]]:
    """Return what else the machine needs to find a value, by kind.

    A network may contain those of pods and Services, whose addresses on the machine are not the machine's. On an
    interface, the address is of the family of the first Services' network.
    """
    networks = (*cluster.networking.service_subnets, *cluster.networking.pod_subnets)
    return {"network": {"not": [str(network) for network in networks]}, "interface": {"family": networks[0].version}}
