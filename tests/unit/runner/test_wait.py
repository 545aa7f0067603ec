"""What a wait says, and how often: on the console and in status.json."""

import json
import time

import pytest
from tests.unit.runner import scratch

from kgen.runner import base


@pytest.fixture
def run(tmp_path):
    made = base.Run(str(tmp_path), "")
    made.body = {"waitFactor": 1}
    return made


def test_what_is_missing_is_said_at_once_and_when_it_changes_but_not_at_each_question(run, tmp_path, capsys):
    begin = time.monotonic()
    asked = []

    def probe():
        age = time.monotonic() - begin
        asked.append(age)
        if age > 6.5:
            return "there"
        raise base.Pending("refused" if age < 1 else "expired")

    assert base.wait(run, "it", probe, hint="hurry") == "there"
    assert capsys.readouterr().out == "kgen: waiting for it: refused; hurry\nkgen: waiting for it: expired; hurry\n"
    assert json.loads((tmp_path / scratch.STATUS).read_text())["error"] == "waiting for it: expired"
    assert 15 < len(asked) < 35


def test_a_deadline_scales_and_is_told_with_the_last_reason(run):
    run.body["waitFactor"] = 0.01

    def probe():
        raise base.Pending("not yet")

    with pytest.raises(base.Stop) as stopped:
        base.wait(run, "it", probe, 50, "hurry")
    assert stopped.value.args == (3, "gave up after 0.5 s waiting for it: not yet", "hurry")
