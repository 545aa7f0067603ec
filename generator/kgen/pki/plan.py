"""Table x cluster: what every certificate must say. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kgen import versions
from kgen.config.model import Cluster, Machine
from kgen.pki.table import CERTS, CertSpec, Usage, as_address


@dataclass(frozen=True, slots=True)
class Request:
    """What one certificate must say, whoever's key it holds and whenever it is issued.

    ``name`` is its place in the bundle: ``ca``, ``admin``, ``m1/etcd/server``. ``row`` is its row of the table,
    ``machine`` empty for what is made once. ``ca`` is None for a self-signed CA. ``dns`` is sorted, ``ips`` in
    kubeadm's order, both without repetitions.
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


def plan(cluster: Cluster) -> tuple[Request, ...]:
    """Return every certificate of the cluster: in the table's order, masters of a row in the file's order."""
    return tuple(request for spec in CERTS for request in _expand(spec, cluster))


def _expand(spec: CertSpec, cluster: Cluster) -> Iterable[Request]:
    if spec.scope == "master":
        return (_for_master(spec, cluster, machine) for machine in cluster.masters)
    dns = (spec.cn,) if spec.ca is None else ()  # kubeadm writes a CA's name as its DNS name, too
    return (Request(spec.name, spec.name, "", spec.ca, spec.cn, spec.groups, spec.usages, dns, ()),)


def _groups(spec: CertSpec, cluster: Cluster) -> tuple[str, ...]:
    is_bound = versions.binds_kubelet_client(cluster.kubernetes_version)
    return spec.groups if is_bound or not spec.unbound_groups else spec.unbound_groups


def _for_master(spec: CertSpec, cluster: Cluster, machine: Machine) -> Request:
    sans = dict.fromkeys(spec.sans(cluster, machine) if spec.sans else ())
    addresses = {san: as_address(san) for san in sans}
    return Request(
        name=f"{machine.name}/{spec.name}",
        row=spec.name,
        machine=machine.name,
        ca=spec.ca,
        cn=spec.cn.format(machine=machine.name),
        groups=_groups(spec, cluster),
        usages=spec.usages,
        dns=tuple(sorted(san for san, address in addresses.items() if address is None)),
        ips=tuple(dict.fromkeys(address for address in addresses.values() if address is not None)),
    )
