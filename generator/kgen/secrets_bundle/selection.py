"""The names that people can use for leaves."""

from __future__ import annotations

from collections.abc import Iterable

from kgen.errors import InputError
from kgen.model import Cluster
from kgen.pki.plan import plan


def leaves(cluster: Cluster, names: Iterable[str] = ()) -> frozenset[str]:
    """Return the bundle's names of the leaves that ``names`` select; all leaves if ``names`` is empty.

    A name is a leaf's own (``m1/etcd/server``, ``admin``), a row's (``etcd/server``: that of every master), or a
    machine's (``m1``: all of its own).

    Raises:
        InputError: a name means no leaf, or is a CA's.
    """
    requests = tuple(request for request in plan(cluster) if not request.is_brought)
    brought = {request.name for request in plan(cluster) if request.is_brought}
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
        if name in brought and name not in groups:
            raise InputError(f"{name!r} comes from a file of yours", "replace the file, then run `kgen render`")
        if name in authorities and name not in groups:
            raise InputError(f"{name!r} is a CA: its key is the cluster's identity and is not renewed")
        if name not in groups:
            import difflib  # slow to load, and only needed for the hint

            near = difflib.get_close_matches(name, groups, n=1)
            raise InputError(f"there is no certificate {name!r}", f"did you mean {near[0]!r}?" if near else "")
        chosen |= groups[name]
    return frozenset(chosen or set().union(*groups.values()))
