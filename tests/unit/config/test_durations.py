from datetime import timedelta

import pytest

from kgen.config import durations


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(days=365), "8760h0m0s"),
        (timedelta(days=3650), "87600h0m0s"),
        (timedelta(hours=100, minutes=30), "100h30m0s"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(milliseconds=1500), "1.5s"),
        (timedelta(milliseconds=100), "100ms"),
        (timedelta(microseconds=1), "1µs"),
        (timedelta(0), "0s"),
    ],
)
def test_durations_are_spelled_as_go_spells_them(duration, text):
    assert durations.go_duration(duration) == text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("90s", "1m30s"),
        ("1.5h", "1h30m0s"),
        ("100ms", "100ms"),
        ("0", "0s"),
        ("1h1m1s", "1h1m1s"),
        ("-60s", "-1m0s"),
        (".5s", "500ms"),
        ("1500us", "1.5ms"),
        ("10", "10"),
        ("soon", "soon"),
        ("5m and more", "5m and more"),
    ],
)
def test_written_durations_are_spelled_again(written, text):
    assert durations.canonical(written) == text
