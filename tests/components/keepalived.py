"""Debian's keepalived, and the curl that its check runs."""

from __future__ import annotations

from pathlib import Path

from . import debian


def tree() -> Path:
    """Return a tree of packages in which both run after a chroot."""
    return debian.root("keepalived", "bookworm", ["keepalived", "curl"])
