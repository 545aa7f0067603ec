"""The masters of the first render, which later renders must have too."""

from __future__ import annotations

from kgen.config.model import Cluster
from kgen.errors import InputError
from kgen.secrets_bundle.model import Bundle, Member


def members(cluster: Cluster) -> tuple[Member, ...]:
    """Return the masters of ``cluster`` as a bundle remembers them."""
    return tuple(Member(master.name, str(master.address)) for master in cluster.masters)


def refuse_other_masters(bundle: Bundle, cluster: Cluster) -> None:
    """Accept only the masters the bundle was made for, in any order.

    Raises:
        InputError: a master was added, removed or given another address; the message names each.
    """
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
    raise InputError(
        f"the masters are not those of the first render: {'; '.join(changes)}",
        "the etcd cluster and its certificates are made for the first list, and changing it is not supported yet: "
        f"put it back; for a cluster that never booted, remove {bundle.file or 'the secrets bundle'}",
    )
