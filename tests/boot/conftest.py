"""What every scenario of this tier needs: root, and the programs that make machines and the segment between them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.boot.machines import Segment

PROGRAMS = ("qemu-system-x86_64", "qemu-img", "genisoimage", "mmdebstrap", "mke2fs", "ip")


@pytest.fixture(scope="session", autouse=True)
def host() -> None:
    """Fail at once, and in one sentence, where no machine can be started."""
    missing = [
        program for program in PROGRAMS if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    ]
    if missing:
        pytest.fail(f"boot tests need {', '.join(missing)}: make boot-test installs them", pytrace=False)
    if os.geteuid():
        pytest.fail("boot tests need root: disks with owners of files, network namespaces, tap devices", pytrace=False)


@pytest.fixture(scope="module")
def segment(request: pytest.FixtureRequest) -> Iterator[Segment]:
    """A network segment for the machines of one file."""
    with Segment(request.path.stem.removeprefix("test_").replace("_", "-")) as segment:
        yield segment
