import json

import pytest

from kgen.errors import KgenError
from kgen.output import lock
from kgen.output.lock import FileRecord, Lock, Section

LOCK = Lock(
    {
        "seed": Section({"seed/m1/meta-data": FileRecord("cd" * 32, 3)}),
        "render": Section(
            {"b": FileRecord("ab" * 32, 12), "a/b": FileRecord("ef" * 32, 0)},
            {"kgen": "1", "machines": {"m2": {"bytes": 1}, "m1": {"limit": None}}, "none": {}},
        ),
    }
)


def test_lock_survives_a_round_trip(tmp_path):
    (tmp_path / lock.FILE_NAME).write_bytes(lock.encode(LOCK))
    assert lock.read(tmp_path) == LOCK


def test_order_of_insertion_does_not_show():
    turned = Lock(dict(reversed(LOCK.sections.items())))
    assert lock.encode(turned) == lock.encode(LOCK)


def test_each_file_and_machine_has_a_line_of_its_own():
    lines = lock.encode(LOCK).decode().splitlines()
    assert sum('"sha256"' in line for line in lines) == 3
    assert next(line for line in lines if '"m1"' in line).strip() == '"m1": {"limit": null},'


def test_missing_lock_is_empty(tmp_path):
    assert lock.read(tmp_path) == Lock()
    assert lock.read(tmp_path / "missing") == Lock()
    assert Lock().section("render") == Section()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "\x00\x00",
        '{"format": 2, "sections": {}}',
        '{"format": 1, "sections": []}',
        '{"format": 1, "sections": {"render": {"files": {"a": 1}, "facts": {}}}}',
    ],
)
def test_damaged_lock_is_reported_in_a_sentence(tmp_path, text):
    (tmp_path / lock.FILE_NAME).write_text(text)
    with pytest.raises(KgenError, match=r"kgen\.lock\.json is damaged"):
        lock.read(tmp_path)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../b", ".", "a//b"])
def test_listed_path_outside_the_directory_is_refused(tmp_path, path):
    files = {path: {"sha256": "", "size": 1}}
    data = {"format": 1, "sections": {"render": {"files": files, "facts": {}}}}
    (tmp_path / lock.FILE_NAME).write_text(json.dumps(data))
    with pytest.raises(KgenError, match="damaged"):
        lock.read(tmp_path)
