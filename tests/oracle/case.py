"""The clusters that kgen and kubeadm are compared on: the files in ``cases/``, each with every supported minor."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import yaml

from tests.oracle.kubeadm import NEWEST, VERSIONS
from tests.oracle.translate import CASES

_SINCE = {
    "p384": "v1.34.4",
    **dict.fromkeys(
        (
            "patches-kube-proxy",
            "odd-values",
            "other-forms",
            "external-etcd",
            "external-etcd-plain",
            "dual-stack",
            "dual-stack-ipv6-first",
        ),
        "v1.37.2",
    ),
}
"""Older versions refuse or ignore what these cases are about, or their answers are not recorded yet."""


@dataclass(frozen=True)
class Case:
    """A cluster file of ``cases/``, with ``version`` in the place of the newest version."""

    name: str
    version: str

    @functools.cached_property
    def text(self) -> str:
        return (CASES / f"{self.name}.yaml").read_text(encoding="utf-8").replace(NEWEST, self.version)

    @functools.cached_property
    def cluster(self) -> dict[str, Any]:
        return yaml.safe_load(self.text)

    @property
    def masters(self) -> list[dict[str, Any]]:
        return [machine for machine in self.cluster["machines"] if machine["role"] == "master"]


def of(version: str) -> list[Case]:
    """Return the cases that are tried with a version."""
    number = VERSIONS.index(version)
    names = sorted(path.stem for path in CASES.glob("*.yaml"))
    return [Case(name, version) for name in names if number >= VERSIONS.index(_SINCE.get(name, VERSIONS[0]))]
