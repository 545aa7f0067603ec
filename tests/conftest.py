"""Options and fixtures of all tests."""

from __future__ import annotations

import ipaddress
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

GOLDEN = Path(__file__).parent / "golden"
REAL = ("real", "control_plane")

# No deadline: a busy machine is no failure. No database of examples: workers that run at once would share its files.
settings.register_profile("kgen", deadline=None, database=None)
settings.load_profile("kgen")
# A shell starts commands in the background with SIGINT ignored, and programs of the tests would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


HERE = Path(__file__).parent
# Directory of a tier: the marker of its tests.
TIERS = {"control_plane": "control_plane", "bake": "boot", "boot": "boot"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for directory, marker in TIERS.items():
            if item.path.is_relative_to(HERE / directory):
                item.add_marker(marker)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden from the current output")


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections that leave the machine, but for tests that say they start real programs."""
    if any(request.node.get_closest_marker(name) for name in REAL):
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"a unit test connects to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def golden_tree(request: pytest.FixtureRequest) -> Callable[[str, Mapping[str, bytes]], None]:
    """Return a check of a tree against ``tests/golden/<case>/``: missing and surplus files fail, too.

    With ``--update-golden`` the folder is rewritten instead. The case's input is in ``input/`` and left alone.
    """

    def check(case: str, actual: Mapping[str, bytes]) -> None:
        folder = GOLDEN / case / "output"
        stored = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}
        if request.config.getoption("--update-golden"):
            for path in stored.keys() - actual.keys():
                stored[path].unlink()
            for path, content in actual.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            return
        assert stored, f"{folder} is empty"
        hint = "intended? run: make golden, and review the difference"
        assert sorted(actual) == sorted(stored), hint
        for path, content in sorted(actual.items()):
            assert content.decode() == stored[path].read_text(encoding="utf-8"), f"{case}/{path}: {hint}"

    return check
