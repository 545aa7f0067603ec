"""Rules about the user's files on machines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from kgen.config.rules.facts import Facts
from kgen.facts import own_paths
from kgen.reader.objects import Draft
from kgen.reader.report import Report


def files_have_one_content(facts: Facts, report: Report) -> None:
    """A file or static pod has either ``content`` or ``source``."""
    for key in ("files", "staticPods"):
        for entry in _entries(facts, key):
            if entry.is_given("content") and entry.is_given("source"):
                report.error(entry.key_at("source"), "K350", "content and source are given", "keep one of them")
            elif not (entry.is_given("content") or entry.is_given("source")):
                hint = "add `content:` with the text, or `source:` with the path of a file"
                report.error(entry.node, "K350", "there is no content", hint, key="content")


def files_have_their_own_path(facts: Facts, report: Report) -> None:
    """A user's file is not one of kgen's, and is still there after a reboot."""
    data = facts.root.section("etcd").section("local").get("dataDir")
    for entry in _entries(facts, "files"):
        path: PurePosixPath | None = entry.get("path")
        if path is None:
            continue
        hint = own_paths.instead(str(path))
        if data is not None and (data == path or data in path.parents):
            hint = "this is etcd's directory: use another one"
        if hint:
            report.error(entry.at("path"), "K351", f"{path} cannot be a file of yours", hint)


def _entries(facts: Facts, key: str) -> Iterator[Draft]:
    for holder in (facts.root, *facts.documents):
        if holder.is_given(key):
            yield from holder.drafts(key)
