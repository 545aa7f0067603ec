"""The plan: table and cluster → what every certificate must say. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kgen.model import Cluster, Machine
from kgen.pki.table import CertSpec, Usage, as_address, certificates


@dataclass(frozen=True, slots=True)
class Request:
    """The required content of one certificate, without its key and its dates.

    ``name`` is its name in the bundle: ``ca``, ``admin``, ``m1/etcd/server``. ``row`` is the name of its row in the
    table. ``machine`` is empty for a certificate that is made once for the cluster. ``ca`` is None for a self-signed
    CA. ``cn`` is empty for a certificate that the user brings: then the fields after it say nothing. ``dns`` is sorted,
    ``ips`` are in kubeadm's order, both without repetitions.
    """

    name: str
    row: str
    machine: str
    ca: str | None
    cn: str
    groups: tuple[str, ...]
    usages: tuple[Usage, ...]
    dns: tuple[str, ...]
    ips: tuple[str, ...]

    @property
    def is_brought(self) -> bool:
        """Return whether the user brings the certificate, so that kgen never issues it."""
        return not self.cn


def plan(cluster: Cluster) -> tuple[Request, ...]:
    """Return every certificate of the cluster: in the table's order, machines of a row in the file's order."""
    return tuple(request for spec in certificates(cluster) for request in _expand(spec, cluster))


def _expand(spec: CertSpec, cluster: Cluster) -> Iterable[Request]:
    if spec.scope != "cluster":
        return (_for_machine(spec, cluster, machine) for machine in spec.owners(cluster))
    dns = (spec.cn,) if spec.ca is None and spec.cn else ()  # kubeadm writes a CA's name as its DNS name, too
    return (Request(spec.name, spec.name, "", spec.ca, spec.cn, spec.groups, spec.usages, dns, ()),)


def _for_machine(spec: CertSpec, cluster: Cluster, machine: Machine) -> Request:
    sans = dict.fromkeys(spec.sans(cluster, machine) if spec.sans else ())
    addresses = {san: as_address(san) for san in sans}
    return Request(
        name=spec.entry_name(machine.name),
        row=spec.name,
        machine=machine.name,
        ca=spec.ca,
        cn=spec.common_name(machine.name),
        groups=spec.groups,
        usages=spec.usages,
        dns=tuple(sorted(san for san, address in addresses.items() if address is None)),
        ips=tuple(dict.fromkeys(address for address in addresses.values() if address is not None)),
    )
