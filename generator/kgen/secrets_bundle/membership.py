"""The masters of the first render, which later renders must have, too."""

from __future__ import annotations

from kgen.errors import InputError
from kgen.model import Cluster
from kgen.pki.table import ETCD_CLIENT
from kgen.secrets_bundle.model import Bundle, Member


def members(cluster: Cluster) -> tuple[Member, ...]:
    """Return the masters of ``cluster`` as a bundle remembers them."""
    return tuple(Member(master.name, str(master.address)) for master in cluster.masters)


def has_etcd_members(bundle: Bundle) -> bool:
    """Return whether the masters of the bundle have certificates of etcd members."""
    return any(name.endswith("/etcd/server") for name in bundle.certificates)


def refuse_other_masters(bundle: Bundle, cluster: Cluster) -> None:
    """Accept only the masters of the first render, in any order, and etcd where it was.

    Raises:
        InputError: a master was added, removed or given another address, and the message names each; or etcd has moved.
    """
    is_external = cluster.external_etcd is not None
    if has_etcd_members(bundle) if is_external else ETCD_CLIENT in bundle.certificates:
        places = ("on the masters", "outside of them")
        raise InputError(
            f"etcd was {places[not is_external]} in the first render and is {places[is_external]} now",
            "put `etcd:` back: a running cluster would lose its data; "
            "for a cluster that never booted: `kgen render CLUSTER_FILE --new-cluster`",
        )
    before = {member.name: member.address for member in bundle.masters}
    after = {member.name: member.address for member in members(cluster)}
    if before == after:
        return
    changes = [
        *(f"{name} ({after[name]}) is new" for name in after if name not in before),
        *(f"{name} ({before[name]}) is gone" for name in before if name not in after),
        *(
            f"{name} has the address {after[name]} instead of {before[name]}"
            for name in after
            if name in before and after[name] != before[name]
        ),
    ]
    why = "" if is_external else "the etcd cluster is made for it, and "
    raise InputError(
        f"the masters are not those of the first render: {'; '.join(changes)}",
        f"put the list back: {why}changing it is not supported yet; "
        "for a cluster that never booted: `kgen render CLUSTER_FILE --new-cluster`",
    )
