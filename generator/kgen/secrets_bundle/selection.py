"""The names people give for leaves."""

from __future__ import annotations

from collections.abc import Iterable

from kgen.config.model import Cluster
from kgen.errors import InputError
from kgen.pki.plan import plan


def leaves(cluster: Cluster, names: Iterable[str] = ()) -> frozenset[str]:
    """Return the bundle's names of the leaves that ``names`` mean; all leaves when there are none.

    A name is a leaf's own (``m1/etcd/server``, ``admin``), a row's (``etcd/server``: that of every master), or a
    machine's (``m1``: all of its own).

    Raises:
        InputError: a name means no leaf, or is a CA's.
    """
    requests = plan(cluster)
    authorities = {request.name for request in requests if request.ca is None}
    groups: dict[str, set[str]] = {}
    for key in ("machine", "row", "name"):  # a later key wins: a machine may be called "admin"
        found: dict[str, set[str]] = {}
        for request in requests:
            if request.ca is not None and getattr(request, key):
                found.setdefault(getattr(request, key), set()).add(request.name)
        groups |= found
    chosen: set[str] = set()
    for name in names:
        if name in authorities and name not in groups:
            raise InputError(f"{name!r} is a CA: its key is the cluster's identity and is not renewed")
        if name not in groups:
            import difflib  # slow to load, and only needed to help

            near = difflib.get_close_matches(name, groups, n=1)
            raise InputError(f"there is no certificate {name!r}", f"did you mean {near[0]!r}?" if near else "")
        chosen |= groups[name]
    return frozenset(chosen or set().union(*groups.values()))
