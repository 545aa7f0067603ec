"""The switch as a process, with sockets in the place of QEMUs."""

import os
import socket
import stat
import struct
from contextlib import ExitStack

import pytest

from kgen.lab import processes, qemu

M1, M2, GATEWAY = b"\x52\x54\x00\x00\x00\x01", b"\x52\x54\x00\x00\x00\x02", b"\x52\x55\x0a\x00\x00\x01"
EVERYBODY = b"\xff" * 6


@pytest.fixture
def switch(tmp_path, monkeypatch):
    """The directory of a lab in which a switch runs."""
    place = tmp_path / ".switch"
    place.mkdir()
    processes.start(qemu.switch_command(place), place)
    monkeypatch.chdir(tmp_path)
    yield place
    processes.kill(place)


@pytest.fixture
def connect(switch):
    """Connect to a socket of the switch."""
    with ExitStack() as links:

        def one(path: str) -> socket.socket:
            link = links.enter_context(socket.socket(socket.AF_UNIX))
            link.settimeout(10)
            link.connect(path)
            return link

        yield one


def send(link: socket.socket, target: bytes, sender: bytes, text: bytes = b"hello") -> None:
    frame = target + sender + b"\x08\x00" + text
    link.sendall(struct.pack(">I", len(frame)) + frame)


def received(link: socket.socket) -> bytes:
    (length,) = struct.unpack(">I", link.recv(4, socket.MSG_WAITALL))
    return link.recv(length, socket.MSG_WAITALL)[14:]


def is_silent(link: socket.socket) -> bool:
    link.settimeout(0.3)
    try:
        return not link.recv(1)
    except TimeoutError:
        return True
    finally:
        link.settimeout(10)


def test_sockets_are_the_users_only(switch):
    for name in ("machines.sock", "gateway.sock"):
        assert stat.S_IMODE((switch.parent / name).stat().st_mode) == 0o700


def test_broadcast_reaches_all_others(connect):
    first, second, gateway = connect("machines.sock"), connect("machines.sock"), connect("gateway.sock")
    send(second, EVERYBODY, M2, b"ready")
    assert received(first) == b"ready"
    assert received(gateway) == b"ready"
    assert is_silent(second)


def test_frames_go_to_the_machine_that_has_the_address(connect):
    first, second, third = (connect("machines.sock") for _ in range(3))
    send(second, EVERYBODY, M2, b"here")
    assert received(first) == received(third) == b"here"
    send(first, M2, M1)
    assert received(second) == b"hello"
    assert is_silent(third)


def test_gateway_sees_nothing_between_machines(connect):
    """QEMU's user-mode network would answer in the place of the other machine."""
    first, gateway = connect("machines.sock"), connect("gateway.sock")
    send(first, M2, M1)
    assert is_silent(gateway)
    send(first, GATEWAY, M1, b"out")
    assert received(gateway) == b"out"


def test_machine_that_was_off_is_found_again(connect):
    first, second = connect("machines.sock"), connect("machines.sock")
    send(second, EVERYBODY, M2)
    assert received(first) == b"hello"
    second.close()
    again = connect("machines.sock")
    send(again, EVERYBODY, M2, b"back")
    assert received(first) == b"back"
    send(first, M2, M1, b"welcome")
    assert received(again) == b"welcome"


def test_machine_that_does_not_read_stops_nobody(connect):
    first, _deaf, third = (connect("machines.sock") for _ in range(3))
    send(third, EVERYBODY, M2, b"here")
    assert received(first) == b"here"  # now the switch knows all three
    for _ in range(300):
        send(first, EVERYBODY, M1, b"x" * 60_000)
        assert len(received(third)) == 60_000


def test_nonsense_ends_the_connection_only(connect):
    first, second = connect("machines.sock"), connect("machines.sock")
    first.sendall(b"\xff" * 100)
    assert first.recv(1) == b""
    third = connect("machines.sock")
    send(third, EVERYBODY, M1, b"here")
    assert received(second) == b"here"
    send(second, EVERYBODY, M2, b"on")
    assert received(third) == b"on"


def test_pid_file_names_the_daemon(switch):
    pid = processes.running_pid(switch)
    assert pid is not None
    assert pid != os.getpid()
