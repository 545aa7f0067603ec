"""An output directory from somebody else's checkout: kgen touches nothing outside it and blocks on nothing."""

import json
import os
import stat
from pathlib import Path

import pytest
from tests.unit.output.test_writer import NEW, OLD, compare, snapshot, tree, write

from kgen.errors import KgenError
from kgen.output import lock
from kgen.output.swap import Staging


@pytest.fixture
def root(tmp_path):
    """An output directory with a render in it, beside files of the user."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/notes").write_text("theirs")
    (tmp_path / "home/empty").mkdir()
    write(tmp_path / "outputs/prod", *OLD)
    return tmp_path / "outputs/prod"


def plant(root, changes=(), directories=(), **files):
    """Leave a staging directory as a killed run would, with this journal in it."""
    staging = root / ".kgen-new"
    staging.mkdir(mode=0o700)
    for name, content in files.items():
        (staging / name.replace("_", ".").removeprefix(".")).write_text(content)
    (staging / "journal").write_text(json.dumps({"changes": changes, "directories": directories}))


@pytest.mark.parametrize("kind", ["create", "update", "remove"])
@pytest.mark.parametrize("spelled", ["../../home/notes", "{home}/notes", "x/../../../home/notes"])
def test_journal_touches_no_file_outside_the_output(root, kind, spelled):
    home = root.parent.parent / "home"
    plant(root, [(spelled.format(home=home), kind)], _0_old="evil")
    before = snapshot(home)
    with pytest.raises(KgenError, match=r"journal is damaged(.|\n)*move .*prod away"):
        write(root, *NEW)
    assert snapshot(home) == before
    assert tree(root)["user-data/m1"] == "old"


@pytest.mark.parametrize("spelled", ["../../home/empty", "..", ".kgen-new"])
def test_journal_removes_no_directory_outside_the_output(root, spelled):
    plant(root, directories=[spelled])
    with pytest.raises(KgenError, match="journal is damaged"):
        write(root, *NEW)
    assert (root.parent.parent / "home/empty").is_dir()


@pytest.mark.parametrize("kind", ["create", "update", "remove"])
def test_journal_follows_no_link_out_of_the_output(root, kind):
    home = root.parent.parent / "home"
    (root / "way").symlink_to(home)
    plant(root, [("keep", "create"), ("way/notes", kind)], _1_old="evil", _0_new="")
    before = snapshot(home)
    with pytest.raises(KgenError, match="way is a symbolic link"):
        write(root, *NEW)
    assert snapshot(home) == before


@pytest.mark.parametrize("name", [".kgen-new", ".", ".."])
@pytest.mark.parametrize("verb", [write, compare])
def test_link_in_place_of_a_directory_of_kgen_is_refused(root, name, verb):
    home = root.parent.parent / "home"
    place = {".kgen-new": root / ".kgen-new", ".": root, "..": root.parent}[name]
    if place.exists():
        place.rename(home.parent / "moved")
    place.symlink_to(home)
    before = snapshot(home)
    with pytest.raises(KgenError, match="is a symbolic link; nothing was written"):
        verb(root, *NEW)
    assert snapshot(home) == before
    assert stat.S_IMODE(home.stat().st_mode) != 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
@pytest.mark.parametrize("name", [".kgen-new", ".", ".."])
def test_directory_of_another_user_is_refused(root, name):
    (root / ".kgen-new").mkdir()
    os.chown(root / name, 12345, -1)
    for verb in (write, compare):
        with pytest.raises(KgenError, match=r"belongs to another user \(uid 12345\)"):
            verb(root, *NEW)
    assert tree(root)["user-data/m1"] == "old"


MALFORMED = ["", "{", "[]", "7", "null", '{"changes": 1, "directories": []}', '{"changes": [["a"]], "directories": []}',
             '{"changes": [["a", "chmod"]], "directories": []}', '{"changes": [["a", []]], "directories": []}',
             '{"changes": [[7, "create"]], "directories": []}', '{"changes": []}', "[" * 100_000, "\xff\xfe",
             '{"changes": [["a\\u0000b", "create"]], "directories": []}',
             '{"changes": [["\\ud800", "create"]], "directories": []}']  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_journal_has_a_message_with_a_remedy_that_works(root, text):
    plant(root)
    (root / ".kgen-new/journal").write_text(text, encoding="latin-1")
    for _ in range(2):
        with pytest.raises(KgenError, match="journal is damaged") as caught:
            write(root, *NEW)
        assert caught.value.hint.startswith(f"move {root} away and render again")
    assert (root / "user-data/m1").read_text() == "old"
    root.rename(root.with_name("moved"))
    write(root, *NEW)
    assert tree(root)["user-data/m1"] == "new"


@pytest.mark.parametrize("facts", ["[]", "7", '"x"', "null"])
def test_lock_with_facts_of_another_shape_is_reported_in_a_sentence(root, facts):
    (root / lock.FILE_NAME).write_text(
        f'{{"format": 1, "sections": {{"render": {{"files": {{}}, "facts": {facts}}}}}}}'
    )
    with pytest.raises(KgenError, match=r"kgen\.lock\.json is damaged"):
        write(root, *NEW)


@pytest.mark.parametrize("path", ["kgen.lock.json", ".kgen-new/x", "a\0b", "\ud800"])
def test_lock_does_not_list_what_kgen_never_wrote(root, path):
    data = json.loads((root / lock.FILE_NAME).read_text())
    data["sections"]["render"]["files"][path] = {"sha256": "", "size": 1}
    (root / lock.FILE_NAME).write_text(json.dumps(data))
    with pytest.raises(KgenError, match=r"kgen\.lock\.json is damaged"):
        write(root, *NEW)


@pytest.mark.parametrize("verb", [write, compare])
@pytest.mark.parametrize("name", ["kgen.lock.json", ".kgen-new/journal", ".kgen-new", "keep"])
def test_pipe_in_place_of_a_file_blocks_nothing(root, name, verb):
    if name.startswith(".kgen-new/"):
        (root / ".kgen-new").mkdir()
    (root / name).unlink(missing_ok=True)
    os.mkfifo(root / name)
    if name == "keep" or (verb is compare and name.endswith("journal")):  # replaced; not looked at
        verb(root, *NEW)
        return
    with pytest.raises(KgenError, match=r"a named pipe, not a plain file|is not a directory"):
        verb(root, *NEW)
    assert tree(root)["user-data/m1"] == "old"


def test_link_in_place_of_the_lock_is_refused(root, tmp_path):
    (root / lock.FILE_NAME).rename(tmp_path / "elsewhere")
    (root / lock.FILE_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KgenError, match="a symbolic link, not a plain file"):
        write(root, *NEW)


def test_journal_is_on_the_disk_before_anything_changes(root, monkeypatch):
    calls = []

    def watch(name, real):
        def call(*args, **kwargs):
            what = Path(f"/proc/self/fd/{args[0]}").readlink() if name == "fsync" else args[0]
            calls.append((name, str(what).removeprefix(f"{root}/")))
            return real(*args, **kwargs)

        monkeypatch.setattr(os, name, call)

    for name in ("fsync", "rename", "replace", "link", "mkdir"):
        watch(name, getattr(os, name))
    write(root, *NEW)
    journal = calls.index(("fsync", ".kgen-new/journal.tmp"))
    assert calls[journal + 1 : journal + 3] == [("rename", ".kgen-new/journal.tmp"), ("fsync", ".kgen-new")]
    assert [call for call in calls[:journal] if call[0] != "fsync"] == [("mkdir", ".kgen-new")]
    assert len(calls) > journal + 8


def test_subdirectory_in_the_staging_directory_is_reported_in_a_sentence(root):
    (root / ".kgen-new/mine").mkdir(parents=True)
    with pytest.raises(KgenError, match=r"mine.*is a directory(.|\n)*move it away"):
        write(root, *NEW)
    assert (root / ".kgen-new/mine").is_dir()


def test_staging_gives_the_lock_back_when_it_refuses(root):
    plant(root, [("../x", "create")])
    for _ in range(2):
        with pytest.raises(KgenError, match="damaged"):
            Staging(root)
