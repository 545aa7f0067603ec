"""A disk image with files for cloud-init: ISO 9660 with Joliet and Rock Ridge, as ``cloud-localds`` makes it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

VOLUME = "cidata"
"""The label by which cloud-init finds a NoCloud seed."""
_FILE_MODE = 0o100400  # of the files under Rock Ridge: a desktop that mounts the disk shows them to root only
_MOMENT = 315_532_800.0  # 1980-01-01, the first date of other file systems, too


def iso(files: Mapping[str, bytes], volume: str = VOLUME) -> bytes:
    """Return the image of a disk ``volume`` with ``files`` at its root. The same files give the same bytes."""
    from pycdlib import PyCdlib  # slow to import, and renders do not need it

    with _fixed_dates():
        image = PyCdlib()
        image.new(interchange_level=1, vol_ident=volume, joliet=3, rock_ridge="1.09")
        for number, (name, content) in enumerate(sorted(files.items())):
            image.add_fp(
                BytesIO(content),
                len(content),
                f"/FILE{number}.;1",  # Linux shows the names of Rock Ridge
                rr_name=name,
                joliet_path=f"/{name}",
                file_mode=_FILE_MODE,
            )
        written = BytesIO()
        image.write_fp(written)
        image.close()
    return written.getvalue()


def write_iso(target: Path, volume: str, files: Mapping[str, Path | bytes]) -> None:
    """Write the image of a disk ``volume`` with large ``files``. A name may have one directory before it."""
    from pycdlib import PyCdlib

    image = PyCdlib()
    image.new(interchange_level=1, vol_ident=volume, rock_ridge="1.09")
    directories: dict[str, str] = {"": ""}
    for number, (name, content) in enumerate(files.items()):
        *parents, base = PurePosixPath(name).parts
        parent = "/".join(parents)
        if parent not in directories:
            directories[parent] = f"/DIR{number}"
            image.add_directory(directories[parent], rr_name=parent)
        path = f"{directories[parent]}/FILE{number}.;1"
        if isinstance(content, bytes):
            image.add_fp(BytesIO(content), len(content), path, rr_name=base, file_mode=_FILE_MODE)
        else:
            image.add_file(str(content), path, rr_name=base, file_mode=_FILE_MODE)
    image.write(str(target))
    image.close()


class _FixedTime:
    """The module ``time`` at one moment, in UTC."""

    localtime = staticmethod(time.gmtime)

    def time(self) -> float:
        return _MOMENT

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@contextmanager
def _fixed_dates() -> Iterator[None]:
    """Give pycdlib a clock that stands still, because it takes all dates of an image from its clock."""
    from pycdlib import dates, headervd, pycdlib

    modules = (dates, headervd, pycdlib)
    try:
        for module in modules:
            vars(module)["time"] = _FixedTime()
        yield
    finally:
        for module in modules:
            vars(module)["time"] = time
