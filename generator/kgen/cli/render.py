"""``kgen render``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console
from kgen.errors import ExitCode
from kgen.providers import too_small_for

if TYPE_CHECKING:
    from kgen.api import RenderResult
    from kgen.pipeline import DocumentInfo

MOST_ROWS = 20
_KINDS = {"create": "written", "update": "rewritten", "remove": "removed", "mode": "mode corrected"}


@click.command(short_help="Make everything: keys, manifests, user-data.")
@arguments.CLUSTER_FILE
@arguments.output("<cluster>")
@click.option("--check", is_flag=True, help="Write nothing; exit 3 if anything on disk would change.")
@click.option("--review", is_flag=True, help="Write readable and review files of every machine, however many.")
@click.option("--no-new-secrets", is_flag=True, help="Fail when the secrets bundle is missing, instead of creating it.")
@click.option("--quiet", "-q", is_flag=True, help="Print only warnings and errors.")
@arguments.JSON
def render(
    cluster_file: Path, output: Path, check: bool, review: bool, no_new_secrets: bool, quiet: bool, as_json: bool
) -> int:
    """Make everything a cluster consists of from CLUSTER_FILE.

    The first render creates the secrets bundle beside CLUSTER_FILE; every later one keeps it, so that the same
    input gives the same bytes. Files that did not change are not touched. If anything fails, nothing was written.
    """
    from kgen import api

    with console.progress(quiet=quiet or as_json) as on_progress:
        result = api.render(
            cluster_file,
            output,
            check=check,
            review=review,
            new_secrets=not no_new_secrets,
            on_progress=on_progress,
        )
    for problem in result.warnings:
        console.warning(problem)
    if as_json:
        console.out(json.dumps(_as_json(result, check=check), indent=2))
    elif check and not quiet:
        _print_check(result)
    elif not quiet:
        _print_result(result, cluster_file)
    return ExitCode.DIFFERENCE if check and result.differs else ExitCode.DONE


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
        "warnings": [
            {
                "file": problem.file,
                "line": problem.line,
                "column": problem.column,
                "field": problem.field,
                "code": problem.code,
                "message": problem.message,
                "hint": problem.hint,
            }
            for problem in result.warnings
        ],
    }


def _print_check(result: RenderResult) -> None:
    if result.bundle_is_missing:
        console.out(f"there is no secrets bundle {result.bundle_path}: a render would create it and everything else")
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
    if result.bundle_is_new:
        console.out(
            click.style(f"secrets bundle created: {result.bundle_path}", bold=True)
            + "\n  it is the cluster's identity: keep it, back it up, never commit it unencrypted"
        )
    for name, reason in result.reissued:
        console.out(f"issued again: {name} ({reason})")
    if note := _limit_note(result.documents):
        console.out(note)
    if result.differs:
        kubectl = f"kubectl --kubeconfig {result.root / 'admin.conf'} get nodes"
        console.out(f"next: boot each machine with its file as user-data, then `{kubectl}`")
    else:
        console.out(f"next: nothing to do; `kgen certs {cluster_file}` shows when the certificates end")


def _limit_note(documents: Sequence[DocumentInfo]) -> str:
    """Return what to know when no provider is named, so that no limit was checked; empty when there is nothing."""
    sizes = [document.counted_bytes for document in documents if not document.provider]
    too_small = too_small_for(max(sizes, default=0))
    if not too_small:
        return ""
    return f"note: the largest does not fit {', '.join(too_small)}; name your cloud with `provider:` to have it checked"


def documents_table(root: Path, documents: Sequence[DocumentInfo]) -> str:
    """Return the table of documents; what exceeds ``MOST_ROWS`` is one line, plain nodes first into it."""
    shown = list(documents)
    rest: list[DocumentInfo] = []
    if len(documents) > MOST_ROWS:
        by_interest = sorted(documents, key=lambda document: document.role == "node" and not document.is_pool)
        shown, rest = by_interest[: MOST_ROWS - 1], by_interest[MOST_ROWS - 1 :]
    rows = [_row(root, document) for document in shown]
    rows += _rest_row(root, rest)
    return console.table(("machine", "role", "user-data bytes", "first certificate ends", "path"), rows, right=(2,))


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
    return ", ".join(f"{count:,} {word}" for count, word in [*counts, (unchanged, "unchanged")] if count)
