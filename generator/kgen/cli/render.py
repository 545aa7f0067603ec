"""``kgen render``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console
from kgen.cli.next_steps import next_steps
from kgen.errors import ExitCode, Problem
from kgen.facts.providers import too_small_for

if TYPE_CHECKING:
    from kgen.api import RenderResult
    from kgen.emitters.contract import DocumentInfo

MOST_ROWS = 20
_KINDS = {"create": "written", "update": "rewritten", "remove": "removed", "mode": "with corrected mode"}


@click.command(short_help="Generate keys, certificates, manifests and user-data.")
@arguments.CLUSTER_FILE
@arguments.output("Write to DIR/<cluster>.")
@click.option("--check", is_flag=True, help="Write nothing; exit 3 if a render would change anything on disk.")
@click.option("--review", is_flag=True, help="Write readable and review files of every machine, however many.")
@click.option("--no-new-secrets", is_flag=True, help="Fail if the secrets bundle is missing, instead of creating it.")
@click.option("--new-cluster", is_flag=True, help="Replace all secrets, so that this is another cluster from now on.")
@arguments.FAIL_ON
@click.option("--quiet", "-q", is_flag=True, help="Print only warnings and errors.")
@arguments.JSON
def render(
    cluster_file: Path,
    output: Path,
    check: bool,
    review: bool,
    no_new_secrets: bool,
    new_cluster: bool,
    fail_on: timedelta | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Generate everything a cluster consists of from CLUSTER_FILE.

    The first render creates the secrets bundle beside CLUSTER_FILE. Every later one keeps it, so that the same
    input gives the same bytes. Files that did not change are not touched. If anything fails, nothing is written.

    --new-cluster is for a cluster that never booted, or that you give up: machines that booted with the old secrets
    cannot join the new cluster. A copy of the old bundle is kept beside the new one.
    """
    from kgen import api

    if new_cluster and (check or no_new_secrets):
        raise click.UsageError("--new-cluster writes new secrets: give it without --check and --no-new-secrets")
    early: list[Problem] = []

    def warn(problem: Problem) -> None:
        early.append(problem)
        console.warning(problem)

    with console.progress(quiet=quiet or as_json) as on_progress:
        result = api.render(
            cluster_file,
            output,
            check=check,
            review=review,
            new_secrets=not no_new_secrets,
            new_cluster=new_cluster,
            on_warning=warn,
            on_progress=on_progress,
        )
    for problem in result.warnings:
        if problem not in early:
            console.warning(problem)
    if as_json:
        console.out_json(_as_json(result, check=check), result.warnings)
    elif check and not quiet:
        _print_check(result)
    elif not quiet:
        _print_result(result, cluster_file)
    if check and result.differs:
        return ExitCode.DIFFERENCE
    return arguments.expiry_code(min(document.expiry for document in result.documents), fail_on)


def _as_json(result: RenderResult, *, check: bool) -> dict[str, Any]:
    from kgen.api import describe

    return {
        "root": str(result.root),
        "check": check,
        "bundle": {
            "path": str(result.bundle_path),
            "created": result.bundle_is_new,
            "changed": result.bundle_has_changed,
            "missing": result.bundle_is_missing,
            "old": str(result.old_bundle) if result.old_bundle else None,
            "reissued": [{"name": name, "reason": reason} for name, reason in result.reissued],
        },
        "artifacts": [
            {"machine": document.machine, **describe(document), "path": str(result.root / document.path)}
            for document in result.documents
        ],
        "files": [
            {"path": str(result.root / path), "bytes": record.size, "sha256": record.sha256}
            for path, record in sorted((result.files or {}).items())
        ],
        "changes": [{"path": str(result.root / change.path), "kind": change.kind} for change in result.changes],
    }


def _print_check(result: RenderResult) -> None:
    if result.bundle_is_missing:
        console.out(f"the secrets bundle {result.bundle_path} is missing: a render would create it and all files")
        return
    if result.bundle_has_changed:
        console.out(f"{'update':6}  {result.bundle_path}")
        for name, reason in result.reissued:
            console.out(f"        {name}: {reason}")
    for change in result.changes[:MOST_ROWS]:
        console.out(f"{change.kind:6}  {result.root / change.path}")
    if len(result.changes) > MOST_ROWS:
        console.out(f"… and {len(result.changes) - MOST_ROWS:,} more")
    if not result.differs:
        console.out(f"{result.root} is up to date: {len(result.documents)} documents, nothing would change")


def _print_result(result: RenderResult, cluster_file: Path) -> None:
    console.out(documents_table(result.root, result.documents))
    console.out()
    console.out(f"{result.root}: {_count_changes(result)}")
    if result.discarded or result.old_bundle:
        what = f"the cluster with the CA {result.discarded}" if result.discarded else "the old secrets"
        kept = f"; the old secrets bundle is kept: {result.old_bundle}" if result.old_bundle else ""
        console.out(f"discarded: {what}{kept}")
    if result.bundle_is_new:
        console.out(
            click.style(f"secrets bundle created: {result.bundle_path}", bold=True)
            + "\n  it is the cluster's identity: keep it, back it up, never commit it unencrypted"
        )
    for name, reason in result.reissued:
        console.out(f"issued again: {name} ({reason})")
    if note := _limit_note(result.documents):
        console.out(note)
    console.out("next: " + "\n".join(next_steps(result, cluster_file)))


def _limit_note(documents: Sequence[DocumentInfo]) -> str:
    """Return a note about limits if no provider is named, so that none was checked; empty if the largest fits all."""
    largest = max((document.counted_bytes for document in documents if not document.provider), default=0)
    too_small = too_small_for(largest)
    if not too_small:
        return ""
    from kgen.reader.report import all_of

    limits = f"the limit of {all_of(too_small)}"
    return f"note: the largest user-data ({largest:,} bytes) exceeds {limits}; set `provider:` to check your cloud's"


def documents_table(root: Path, documents: Sequence[DocumentInfo]) -> str:
    """Return the table of documents. Above ``MOST_ROWS`` the last line stands for the rest, which are plain nodes."""
    shown = list(documents)
    rest: list[DocumentInfo] = []
    if len(documents) > MOST_ROWS:
        by_interest = sorted(documents, key=lambda document: document.role == "node" and not document.is_pool)
        shown, rest = by_interest[: MOST_ROWS - 1], by_interest[MOST_ROWS - 1 :]
    rows = [_row(root, document) for document in shown]
    rows += _rest_row(root, rest)
    return console.table(("machine", "role", "user-data bytes", "earliest expiry", "path"), rows, right=(2,))


def _row(root: Path, document: DocumentInfo) -> tuple[str, ...]:
    role = f"{document.role} (pool)" if document.is_pool else document.role
    size = _of_limit(f"{document.counted_bytes:,}", document.limit_bytes)
    return document.machine, role, size, f"{document.expiry:%Y-%m-%d}", str(root / document.path)


def _rest_row(root: Path, rest: Sequence[DocumentInfo]) -> Iterator[tuple[str, ...]]:
    if rest:
        largest = max(rest, key=lambda document: document.counted_bytes)
        size = _of_limit(f"≤ {largest.counted_bytes:,}", largest.limit_bytes)
        expiry = min(document.expiry for document in rest)
        roles = " and ".join(sorted({document.role for document in rest}))
        yield f"… {len(rest):,} more", roles, size, f"{expiry:%Y-%m-%d}", f"{root / rest[0].path.parent}/"


def _of_limit(size: str, limit: int | None) -> str:
    return size if limit is None else f"{size} of {limit:,}"


def _count_changes(result: RenderResult) -> str:
    if not result.changes:
        return "nothing changed"
    counts = [(sum(change.kind == kind for change in result.changes), word) for kind, word in _KINDS.items()]
    unchanged = len(result.files or {}) - sum(
        change.kind != "remove" and change.path in (result.files or {}) for change in result.changes
    )
    shown = [(count, word) for count, word in [*counts, (unchanged, "unchanged")] if count]
    (first, word), *rest = shown
    files = "file" if first == 1 else "files"
    return ", ".join([f"{first:,} {files} {word}", *(f"{count:,} {word}" for count, word in rest)])
