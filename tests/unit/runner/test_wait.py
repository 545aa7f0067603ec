"""What a wait says, and how often: on the console and in status.json."""

import json
from itertools import pairwise

import pytest
from tests.unit.runner import scratch

from kgen.runner import base


class Clock:
    """The runner's ``time``, in which nothing takes time but to sleep."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(base, "time", made)
    return made


@pytest.fixture
def run(tmp_path, clock):
    made = base.Run(str(tmp_path), "")
    made.body = {"waitFactor": 1}
    return made


def test_a_wait_reports_at_once_and_when_the_reason_changes(run, clock, tmp_path, capsys):
    asked = []

    def probe():
        asked.append(clock.now)
        if clock.now > 70:
            return "there"
        raise base.Pending("refused" if clock.now < 1 else "expired")

    assert base.wait(run, "it", probe, hint="hurry") == "there"
    *told, last = capsys.readouterr().out.splitlines()
    assert told == ["kgen: waiting for it: refused; hurry", "kgen: waiting for it: expired; hurry"]
    assert last == told[1], "said again after a minute"
    assert json.loads((tmp_path / scratch.STATUS).read_text())["error"] == "waiting for it: expired"
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.2
    assert 0.8 < pauses[-1] < 1


def test_a_deadline_scales_and_its_message_has_the_last_reason(run):
    run.body["waitFactor"] = 0.01

    def probe():
        raise base.Pending("not yet")

    with pytest.raises(base.Stop) as stopped:
        base.wait(run, "it", probe, 50, "hurry")
    assert stopped.value.args == (3, "gave up after 0.5 s waiting for it: not yet", "hurry")
