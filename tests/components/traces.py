"""What an image must not hold: traces of the machine that it was made on."""

from __future__ import annotations

from pathlib import Path


def left_over(root: Path) -> list[str]:
    """Return what says where the image with the tree ``root`` was made."""
    logs = (root / "var/log").rglob("*")
    found = [path for path in logs if path.is_file() and not path.is_symlink() and path.stat().st_size]
    patterns = (
        "tmp/*",
        "var/tmp/*",
        "opt/kgen-bake",
        "root/.cache",
        "home/*/.ssh",
        "etc/ssh/ssh_host_*",
        "var/lib/cloud/[!s]*",
        "var/log/journal/*",
    )
    found += [path for pattern in patterns for path in root.glob(pattern)]
    return sorted(str(path.relative_to(root)) for path in found)
