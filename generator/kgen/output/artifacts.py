"""Output as data: one file of the output directory, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of the output directory.

    ``path`` is relative to it. ``secret`` files get mode 0600 and are never shown in a diff, log or repr.
    ``mode`` overrides that where the review tree shows a mode of the machine. The lock file records the sha256 of
    ``digest_of`` if it is given, else of ``content``: for a gzip it is the document inside.
    """

    path: PurePosixPath
    content: bytes = field(repr=False)
    secret: bool = True
    mode: int | None = None
    digest_of: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a path that leaves the output directory."""
        if self.path.is_absolute() or ".." in self.path.parts or not self.path.parts:
            raise ValueError(f"artifact path must stay below the output directory: {self.path}")

    @property
    def file_mode(self) -> int:
        """Return the mode of the file on disk."""
        return self.mode if self.mode is not None else 0o600 if self.secret else 0o644
