"""Debian's hcloud, the command line of Hetzner Cloud."""

from __future__ import annotations

from pathlib import Path

from . import debian, registry


def tree() -> Path:
    """Return a tree of packages with it."""
    return debian.root("hcloud", "bookworm", ["hcloud-cli"])


def hcloud() -> list[str]:
    """Return the words that start it."""
    return registry.command(tree(), "usr/bin/hcloud")
