"""``etcd.external``: where the members are, and the user's certificates for them, which the bundle keeps."""

from __future__ import annotations

from pathlib import Path

from kgen.config import user_files
from kgen.model import ExternalEtcd, PemFile
from kgen.reader.objects import Draft
from kgen.reader.report import Report


def read(root: Draft, directory: Path, file: str, report: Report) -> ExternalEtcd | None:
    """Return ``etcd.external`` of the cluster file ``file``; None if it has none, or a wrong one.

    The certificates' files are relative to ``directory``. One that is not there has an empty text.
    """
    etcd = root.section("etcd")
    external = etcd.section("external")
    if not etcd.is_given("external") or not external.get("endpoints"):
        return None
    ca, certificate, key = (
        pem_file(external, name, directory, file, report) for name in ("caFile", "certFile", "keyFile")
    )
    return ExternalEtcd(external.get("endpoints"), external.get("httpEndpoints") or (), ca, certificate, key)


def pem_file(holder: Draft, key: str, directory: Path, file: str, report: Report) -> PemFile | None:
    """Return the file that ``key`` of ``holder`` names, relative to ``directory``; None if it names none."""
    name = holder.get(key)
    if not name:
        return None
    place, path = holder.at(key), directory / name
    text = user_files.text(path, name, place, report) if path.exists() else ""
    return PemFile(name, f"{file}:{place.line}:{place.column}", text or "")
