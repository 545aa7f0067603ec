"""The advice after a render, which depends on the documents that changed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kgen.errors import command
from kgen.facts.providers_roads import NOCLOUD

if TYPE_CHECKING:
    from kgen.api import RenderResult
    from kgen.emitters.contract import DocumentInfo

MOST_NAMES = 5


def next_steps(result: RenderResult, cluster_file: Path) -> Iterator[str]:
    """Yield the lines that follow ``next:``. A lone master is never to be replaced: only its disk has the data."""
    output = result.root.parent
    seed = command("seed", cluster_file, output=output)
    if result.by_reference and result.changes:
        from kgen.api.published import publish_command  # late: a render without stubs does not need AWS

        provider = result.documents[0].provider
        publish = publish_command(cluster_file, result.root, provider)
        attach = command("attach", cluster_file, "MACHINE", output=output)
        then = f"`{seed}` and `{attach}`" if provider == NOCLOUD else f"`{attach}`"
        yield f"the provider gets stubs: `{publish}`, then {then}"
    if result.seals:
        yield f"each machine needs its key, {result.root}/sealed/MACHINE.key: `kgen docs sealed-user-data` has the ways"
    if result.has_run and result.new_tokens:
        options = (word for name in result.new_tokens for word in ("--pool", name))
        renew = command("token renew", cluster_file, *options)
        yield f"the running cluster does not know the new tokens yet: `{renew}`"
    if not result.earlier:
        kubectl = shlex.join(["kubectl", "--kubeconfig", str(result.root / "admin.conf"), "get", "nodes"])
        which = "" if result.bundle_is_new else " that never ran"
        file = "stub" if result.by_reference else "file"
        yield f"boot each machine{which} with its {file} as user-data, then `{kubectl}`"
        if which:
            yield "  nothing is recorded here of earlier renders: do not replace running machines for this one"
        return
    new = [it for it in result.documents if it.machine not in result.earlier]
    changed = [it for it in result.documents if result.earlier.get(it.machine, it.sha256) != it.sha256]
    gone = sorted(result.earlier.keys() - {it.machine for it in result.documents})
    if not (new or changed or gone):
        yield f"nothing to do on the machines; `{command('certs', cluster_file)}` shows when certificates expire"
        return
    same = len(result.documents) - len(new) - len(changed)
    counts = ((len(changed), "changed"), (len(new), "new"), (len(gone), "removed"), (same, "as before"))
    yield "user-data: " + ", ".join(f"{count:,} {word}" for count, word in counts if count)
    if new:
        yield f"  {_names(new)}: boot with the new user-data"
    listed = [it for it in changed if not it.is_pool]
    # A master's files are always in the review tree.
    trees = {change.path.split("/")[1] for change in result.changes if change.path.startswith("nodes/")}
    as_before = [it for it in listed if it.role == "master" and it.machine not in trees]
    if as_before:
        yield f"  {_names(as_before)}: if it runs, there is nothing to do: the files on the machine stay as they are"
        if result.has_run:
            seen = "kgen has seen the cluster run"
            yield f"    {seen}: with this user-data, a master without data never starts an empty etcd"
    listed = [it for it in listed if it not in as_before]
    for it in listed[:MOST_NAMES]:
        apply = command("apply", cluster_file, it.machine, output=output)
        ssh = f"`{apply} | ssh root@{it.machine} sh`"
        yield f"  {it.machine}: if it runs, {ssh}; if it never ran, boot it with the new user-data"
    if rest := listed[MOST_NAMES:]:
        yield f"  and so on for {_names(rest)}; on a machine without changes `kgen apply` changes nothing"
    if sum(it.role == "master" for it in listed) > 1:
        yield f"  masters that run, one at a time: `{command('status', cluster_file)}` says when the next may follow"
        if not result.has_run:
            yield "  masters that never ran, all at once: each waits for the others"
    if pools := [it for it in changed if it.is_pool]:
        yield f"  {_names(pools)}: machines that the pool starts from now on need the new user-data"
    if gone:
        yield f"  {_listed(gone)}: switch off and `kubectl delete node`"
    if result.has_seeds:
        when = ", after `kgen publish`" if result.by_reference else ""
        yield f"  seeds: `{seed}` writes the new user-data into them{when}"
    if result.has_bridge:
        yield f"  where only routes changed: `{command('routes', cluster_file)}`"


def _names(documents: Sequence[DocumentInfo]) -> str:
    return _listed([it.machine for it in documents])


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
