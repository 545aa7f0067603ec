"""What every scenario of this tier needs: root, and the programs that make machines and the segment between them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator

import pytest

from tests.boot.host import host as this_host
from tests.boot.host import verdict
from tests.boot.machines import Segment, standing_still

PROGRAMS = ("qemu-system-x86_64", "qemu-img", "isoinfo", "mmdebstrap", "mke2fs", "ip")


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
    this_host()


@pytest.fixture(scope="module")
def segment(request: pytest.FixtureRequest) -> Iterator[Segment]:
    """A network segment for the machines of one file."""
    with Segment(request.path.stem.removeprefix("test_").replace("_", "-")) as segment:
        yield segment


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say with every failure whether this host may have been too slow for it."""
    report = yield
    if report.failed and this_host.cache_info().currsize:  # otherwise nothing was booted
        with standing_still():
            report.sections.append(("this host", verdict()))
    return report
