"""The clusters that kgen and kubeadm are compared on: the files in ``cases/``, each with every supported minor."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import yaml

from kgen.facts import versions
from tests.oracle.kubeadm import NEWEST, VERSIONS
from tests.oracle.translate import CASES

_SINCE = {"p384": "v1.34.4", "patches-kube-proxy": "v1.37.2"}
"""Older versions refuse or ignore what these cases are about."""

_CHANGED = {
    ("components", version): ("{NodeSwap: true}", "{NodeSwap: true, KubeletCrashLoopBackOffMax: true}")
    for version in ("v1.33.13", "v1.34.4")
}
"""A text of a case, and what a version needs in its place: a gate that is off by default there."""


@dataclass(frozen=True)
class Case:
    """A cluster file of ``cases/``, for ``version``, with the images' tags of that version."""

    name: str
    version: str

    @functools.cached_property
    def text(self) -> str:
        newest, own = _release(NEWEST), _release(self.version)
        text = (CASES / f"{self.name}.yaml").read_text(encoding="utf-8").replace(NEWEST, self.version)
        text = text.replace(*_CHANGED.get((self.name, self.version), (NEWEST, self.version)))
        return text.replace(newest.etcd, own.etcd).replace(newest.coredns, own.coredns)

    @functools.cached_property
    def cluster(self) -> dict[str, Any]:
        return yaml.safe_load(self.text)

    @property
    def masters(self) -> list[dict[str, Any]]:
        return [machine for machine in self.cluster["machines"] if machine["role"] == "master"]


def _release(version: str) -> versions.Release:
    parsed = versions.parse_version(version)
    assert parsed is not None
    return versions.release_of(parsed)


def of(version: str) -> list[Case]:
    """Return the cases that are tried with a version."""
    number = VERSIONS.index(version)
    names = sorted(path.stem for path in CASES.glob("*.yaml"))
    return [Case(name, version) for name in names if number >= VERSIONS.index(_SINCE.get(name, VERSIONS[0]))]
