"""The message for documents over the provider's limit."""

from __future__ import annotations

from collections.abc import Sequence

from kgen.emitters.contract import DocumentInfo
from kgen.errors import InputError
from kgen.model import Cluster

_MOST_SHOWN = 10


class DocumentTooLargeError(InputError):
    """Documents exceed the provider's limit; nothing was written."""

    def __init__(self, cluster: Cluster, documents: Sequence[DocumentInfo]) -> None:
        """Name every document that does not fit, and what to change in this cluster."""
        lines = [_line(document) for document in documents]
        super().__init__(
            f"user-data over the limit of {cluster.provider}:{_shown(lines)}", "; ".join(_remedies(cluster))
        )


class StubTooLargeError(InputError):
    """Stubs exceed the limit of user-data of EC2; none was written."""

    def __init__(self, stubs: Sequence[DocumentInfo]) -> None:
        """Name every stub that does not fit, and what a stub holds."""
        lines = [f"{stub.machine}: {_counts(stub)}" for stub in stubs]
        hint = "a stub holds `cloudInit`, `users` and `ntp`: bring files by `files:`, or put them into the image"
        super().__init__(f"stubs over the limit of {stubs[0].provider}:{_shown(lines)}", hint)


def _shown(lines: Sequence[str]) -> str:
    more = len(lines) - _MOST_SHOWN
    return "".join(f"\n  {line}" for line in [*lines[:_MOST_SHOWN], *([f"… and {more} more"] if more > 0 else [])])


def _line(document: DocumentInfo) -> str:
    parts = ", ".join(f"{name} {count:,}" for name, count in document.largest_parts)
    return f"{document.machine}: {_counts(document)} (largest parts: {parts})"


def _counts(document: DocumentInfo) -> str:
    return f"{document.counted_bytes:,} bytes of {document.limit_bytes:,}"


def _remedies(cluster: Cluster) -> list[str]:
    remedies = []
    if cluster.encryption_algorithm.startswith("RSA"):
        remedies.append("RSA keys do not compress: use `encryptionAlgorithm: ECDSA-P256`")
    if cluster.runner == "embedded":
        remedies.append("put the runner into the image: `image: {runner: baked}`")
    if cluster.manifests:
        remedies.append("apply large objects with kubectl once the cluster is up, not by `manifests:`")
    if any(machine.files for machine in cluster.documents):
        remedies.append("put large files into the image, not into `files:`")
    publish = "kgen publish" if cluster.provider == "ec2" else "kgen publish --to serve"
    remedies.append(f"publish it: `userData: {{secrets: byReference}}` and `{publish}`")
    remedies.append("deliver the document from a place without this limit (a NoCloud seed)")
    return remedies
