import os
import subprocess
import sys
import time

import pytest

from kgen.errors import KgenError
from kgen.lab import processes

SLEEP = "import sys, time; time.sleep(60)"


@pytest.fixture
def place(tmp_path):
    """The directory of a process."""
    directory = tmp_path / "m1"
    directory.mkdir()
    return directory


@pytest.fixture
def running(place):
    """A process that runs, with its directory in its command line as QEMU has it."""
    process = subprocess.Popen([sys.executable, "-c", SLEEP, f"guest={place}"])
    (place / "pid").write_text(str(process.pid))
    deadline = time.monotonic() + 10
    while processes.running_pid(place) is None and time.monotonic() < deadline:
        time.sleep(0.01)  # until it has its own command line
    yield process
    process.kill()
    process.wait()


def test_running_process_is_found(place, running):
    assert processes.running_pid(place) == running.pid


def test_ended_process_is_not_running_although_its_parent_has_not_asked(place, running):
    running.kill()
    assert processes.has_ended(running.pid, 10)
    assert processes.running_pid(place) is None


def test_pid_of_another_process_is_stale(place):
    (place / "pid").write_text(str(os.getpid()))
    assert processes.running_pid(place) is None
    assert not processes.kill(place)  # or this would be the last test


@pytest.mark.parametrize("text", ["", "x", "-1", "99999999"])
def test_pid_file_without_a_process_is_stale(place, text):
    (place / "pid").write_text(text)
    assert processes.running_pid(place) is None


def test_process_of_a_neighbour_with_a_longer_name_is_not_ours(place, running):
    other = place.with_name("m")
    other.mkdir()
    (other / "pid").write_text(str(running.pid))
    assert processes.running_pid(other) is None


def test_kill_ends_it_once(place, running):
    assert processes.kill(place)
    assert not processes.kill(place)


def test_a_program_that_fails_is_a_sentence_with_its_first_line(place):
    with pytest.raises(KgenError, match="m1 does not start: no such disk"):
        processes.start(["sh", "-c", "echo a warning; echo no such disk; exit 1"], place)
