"""The tree on a machine against its review tree: byte for byte, modes included, nothing more and nothing less."""

from __future__ import annotations

import re
import stat
from pathlib import Path

COMPARED = ("etc/kubernetes", "var/lib/kubelet")

# The closed list of what differs on a machine that is done; docs/testing.md says why.
CHANGED_LATER = {"etc/kubernetes/kubelet.conf"}
REMOVED_LATER = {"etc/kubernetes/bootstrap-kubelet.conf"}
MADE_ON_NODE = re.compile(r"etc/kubernetes/kubelet\.conf|var/lib/kubelet/pki/kubelet-client-(current|[0-9-]{19})\.pem")


def listing(root: Path) -> dict[str, tuple[str, bytes]]:
    """Return (mode, content) of every file compared, by path below ``root``."""
    paths = [path for top in COMPARED for path in (root / top).rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): (oct(stat.S_IMODE(path.stat().st_mode)), path.read_bytes()) for path in paths}


def differences(review: Path, root: Path) -> list[str]:
    """Return a line per file that is missing, unexpected or different; contents are never shown."""
    expected, actual = listing(review), listing(root)
    assert expected, f"there is nothing to compare in {review}"
    surplus = {name for name in actual.keys() - expected.keys() if not MADE_ON_NODE.fullmatch(name)}
    lines = [f"not in the review tree: {name}" for name in surplus | (actual.keys() & REMOVED_LATER)]
    lines += [f"missing on the machine: {name}" for name in expected.keys() - actual.keys() - REMOVED_LATER]
    for name in expected.keys() & actual.keys():
        (expected_mode, expected_content), (mode, content) = expected[name], actual[name]
        if mode != expected_mode:
            lines.append(f"mode {mode} instead of {expected_mode}: {name}")
        if content != expected_content and name not in CHANGED_LATER:
            lines.append(f"other content: {name}")
    return sorted(lines)
