"""The fence that keeps pods from metadata services."""

import os
from collections.abc import Iterator

from .base import Run
from .findings import Finding


def metadata_fence(run: Run, texts: str) -> Iterator[Finding]:
    """The program that sets the fence's rules is there. Without it the kubelet would not start."""
    is_fenced = any(path == "/etc/kgen/metadata-fence.nft" for path, *_ in run.body["files"])
    if is_fenced and not any(os.access(f"{run.root}{path}/nft", os.X_OK) for path in os.get_exec_path()):
        yield Finding("FileExisting-nft", "no nft in PATH: install the package nftables, which metadataFence needs")
