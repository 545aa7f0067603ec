import errno
import functools
import gzip
import os
import stat
import subprocess
import sys
import zlib
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgen.errors import ExitCode, KgenError
from kgen.output import disk, lock
from kgen.output.artifacts import Artifact
from kgen.output.writer import Change, Output


def artifact(path: str, content: str = "x", mode: int | None = None, **rest) -> Artifact:
    return Artifact(PurePosixPath(path), content.encode(), mode=mode, **rest)


def write(root: Path, *artifacts: Artifact, facts=None, section="render", check=False) -> tuple[Change, ...]:
    with Output(root, section, check=check) as output:
        for each in artifacts:
            output.stage(each)
        output.prepare(facts or {})
        return output.commit()


compare = functools.partial(write, check=True)


def tree(root: Path) -> dict[str, str]:
    """Return every file below root but the lock file, with its content."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.name != lock.FILE_NAME:
            found[str(path.relative_to(root))] = path.read_text()
    return found


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return everything below root with inode-independent identity: mode, mtime, content."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        is_file = stat.S_ISREG(status.st_mode)
        found[str(path.relative_to(root))] = (
            status.st_mode,
            status.st_mtime_ns if is_file else 0,
            path.read_bytes() if is_file else b"",
        )
    return found


OLD = (artifact("keep", "k"), artifact("user-data/m1", "old"), artifact("user-data/m2", "two"), artifact("x/y/gone"))
NEW = (artifact("keep", "k"), artifact("user-data/m1", "new"), artifact("user-data/m3", "3"), artifact("n/m1/etc/f"))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "outputs" / "prod"


def test_first_write_makes_everything_private(root):
    changes = write(root, artifact("admin.conf"), artifact("nodes/m1/etc/config", mode=0o644))
    assert [(change.path, change.kind) for change in changes] == [
        ("admin.conf", "create"),
        ("nodes/m1/etc/config", "create"),
        ("kgen.lock.json", "create"),
    ]
    modes = {str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
    assert modes == {
        "admin.conf": 0o600,
        "kgen.lock.json": 0o600,
        "nodes": 0o700,
        "nodes/m1": 0o700,
        "nodes/m1/etc": 0o700,
        "nodes/m1/etc/config": 0o644,
    }
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert stat.S_IMODE(root.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o277])
def test_umask_does_not_matter(root, umask):
    before = os.umask(umask)
    try:
        write(root, artifact("a", mode=0o644), artifact("s"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o644
    assert stat.S_IMODE((root / "s").stat().st_mode) == 0o600


def test_second_write_touches_nothing(root):
    write(root, *OLD)
    before = snapshot(root)
    assert write(root, *OLD) == ()
    assert compare(root, *OLD) == ()
    assert snapshot(root) == before


def test_change_touches_only_what_differs(root):
    write(root, *OLD)
    kept = (root / "keep").stat()
    changes = write(root, *NEW)
    assert set(changes) == {
        Change("user-data/m1", "update"),
        Change("user-data/m3", "create"),
        Change("n/m1/etc/f", "create"),
        Change("user-data/m2", "remove"),
        Change("x/y/gone", "remove"),
        Change("kgen.lock.json", "update"),
    }
    assert tree(root) == {"keep": "k", "user-data/m1": "new", "user-data/m3": "3", "n/m1/etc/f": "x"}
    assert not (root / "x").exists()
    assert (root / "keep").stat().st_mtime_ns == kept.st_mtime_ns


def test_compare_says_what_write_would_do_and_writes_nothing(root):
    assert {change.kind for change in compare(root, *OLD)} == {"create"}
    assert not root.parent.exists()
    write(root, *OLD)
    before = snapshot(root)
    would = compare(root, *NEW)
    assert snapshot(root) == before
    assert would == write(root, *NEW)


def test_wrong_modes_are_reported_and_corrected(root):
    write(root, artifact("d/secret"))
    (root / "d/secret").chmod(0o644)
    (root / "d").chmod(0o755)
    (root / "kgen.lock.json").chmod(0o644)
    root.chmod(0o755)
    before = (root / "d/secret").stat().st_mtime_ns
    expected = {Change(path, "mode") for path in ("d/secret", "d", ".", "kgen.lock.json")}
    assert set(compare(root, artifact("d/secret"))) == expected
    assert set(write(root, artifact("d/secret"))) == expected
    assert compare(root, artifact("d/secret")) == ()
    assert stat.S_IMODE((root / "d/secret").stat().st_mode) == 0o600
    assert (root / "d/secret").stat().st_mtime_ns == before


def test_changed_facts_change_only_the_lock(root):
    write(root, *OLD, facts={"kgen": "1"})
    assert write(root, *OLD, facts={"kgen": "2"}) == (Change("kgen.lock.json", "update"),)
    assert lock.read(root).section("render").facts == {"kgen": "2"}


def test_gzip_of_equal_content_is_kept(root):
    text = b"user-data " * 500
    path = PurePosixPath("user-data/m1.yaml.gz")
    assert Output(root, "render", check=True).kept(path, text) is None
    other_zlib = Artifact(path, gzip.compress(text, 1, mtime=0), digest_of=text)
    write(root, other_zlib)
    assert Output(root, "render", check=True).kept(path, text) == other_zlib.content
    assert Output(root, "render", check=True).kept(path, text + b"!") is None
    assert Output(root, "render", check=True).kept(path, text[:-1]) is None
    changed = Artifact(path, gzip.compress(text, 9, mtime=0), digest_of=text)
    assert write(root, changed) == (Change(str(path), "update"),)


def test_a_link_is_not_kept(root, tmp_path):
    (tmp_path / "target").write_bytes(gzip.compress(b"text"))
    root.mkdir(parents=True)
    (root / "m1.yaml.gz").symlink_to(tmp_path / "target")
    assert Output(root, "render", check=True).kept(PurePosixPath("m1.yaml.gz"), b"text") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-9],
        lambda content: content + b"\0",
        lambda content: content[:-8] + b"\0" * 8,
        lambda content: content + content,
        lambda content: gzip.compress(zlib.decompress(content, 31) + b"y"),
    ],
)
def test_damaged_gzip_is_rewritten(root, damage):
    text = b"user-data " * 500
    ours = Artifact(PurePosixPath("m1.yaml.gz"), gzip.compress(text, 9, mtime=0), digest_of=text)
    write(root, ours)
    (root / "m1.yaml.gz").write_bytes(damage(ours.content))
    assert Output(root, "render", check=True).kept(ours.path, text) is None
    assert write(root, ours) == (Change("m1.yaml.gz", "update"),)
    assert (root / "m1.yaml.gz").read_bytes() == ours.content


def test_lock_records_the_uncompressed_content(root):
    text = b"user-data"
    write(root, Artifact(PurePosixPath("m1.yaml.gz"), gzip.compress(text), digest_of=text))
    assert lock.read(root).section("render").files["m1.yaml.gz"].size == len(text)


def test_foreign_files_and_other_sections_stay(root):
    write(root, *OLD)
    write(root, artifact("seed/m1/meta-data"), section="seed")
    (root / "x/y/mine").write_text("mine")
    write(root, artifact("keep", "k"))
    assert tree(root) == {"keep": "k", "seed/m1/meta-data": "x", "x/y/mine": "mine"}
    assert set(lock.read(root).sections) == {"render", "seed"}


def test_edited_file_of_ours_is_rewritten(root):
    write(root, *OLD)
    (root / "keep").write_text("edited")
    assert write(root, *OLD) == (Change("keep", "update"),)


@pytest.mark.parametrize(
    "place",
    [
        lambda path: path.write_text("theirs"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/dev/null"),
        lambda path: os.mkfifo(path),
    ],
)
def test_what_is_not_ours_is_never_overwritten(root, place):
    write(root, *OLD)
    (root / "n").mkdir()
    place(root / "n/theirs")
    before = snapshot(root)
    with pytest.raises(KgenError, match=r"theirs .*nothing was written"):
        write(root, *NEW, artifact("n/theirs"))
    assert snapshot(root) == before


def test_equal_file_of_the_user_is_adopted(root):
    root.mkdir(parents=True)
    (root / "a").write_text("x")
    (root / "a").chmod(0o600)
    assert Change("a", "create") not in write(root, artifact("a"))
    assert "a" in lock.read(root).section("render").files


def test_links_are_not_followed(root, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "gone").write_text("theirs")
    write(root, *OLD)
    (root / "x/y/gone").unlink()
    (root / "x/y").rmdir()
    (root / "x/y").symlink_to(elsewhere)
    with pytest.raises(KgenError, match="x/y is a symbolic link"):
        write(root, *NEW)  # would prune x/y/gone
    with pytest.raises(KgenError, match="x/y is a symbolic link"):
        write(root, *NEW, artifact("x/y/gone"))
    assert tree(elsewhere) == {"gone": "theirs"}
    assert (root / "user-data/m1").read_text() == "old"


def test_link_in_place_of_our_file_is_replaced(root, tmp_path):
    write(root, *OLD)
    (tmp_path / "target").write_text("theirs")
    (root / "keep").unlink()
    (root / "keep").symlink_to(tmp_path / "target")
    assert write(root, *OLD) == (Change("keep", "update"),)
    assert not (root / "keep").is_symlink()
    assert (tmp_path / "target").read_text() == "theirs"


@pytest.mark.parametrize("verb", [write, compare])
def test_root_that_is_a_link_is_refused(root, tmp_path, verb):
    root.parent.mkdir()
    root.symlink_to(tmp_path)
    with pytest.raises(KgenError, match="prod is a symbolic link"):
        verb(root, *OLD)


def test_root_that_is_a_file_is_reported_in_a_sentence(root):
    root.parent.mkdir()
    root.write_text("")
    for verb in (write, compare):
        with pytest.raises(KgenError, match="not a directory"):
            verb(root, *OLD)


def test_dangling_parent_is_reported_in_a_sentence(root):
    root.parent.symlink_to("nowhere")
    with pytest.raises(KgenError, match="outputs is a symbolic link"):
        write(root, *OLD)


def test_taken_or_reserved_path_is_a_bug(root):
    for paths in (["a", "a"], ["kgen.lock.json"], [".kgen-new/x"]):
        with pytest.raises(ValueError, match="taken"):
            write(root, *map(artifact, paths))


def test_abandoned_render_leaves_no_trace(root):
    with Output(root, "render") as output:
        output.stage(artifact("a/b"))
    assert not root.parent.exists()


def test_prepared_and_abandoned_render_leaves_no_trace(root):
    write(root, *OLD)
    before = snapshot(root)
    with Output(root, "render") as output:
        for each in NEW:
            output.stage(each)
        output.prepare({})
    assert snapshot(root) == before


def test_second_writer_is_refused_while_the_first_works(root, monkeypatch):
    monkeypatch.setattr(disk, "PATIENCE_SECONDS", 0.1)
    with Output(root, "render") as first:
        first.stage(artifact("a"))
        with pytest.raises(KgenError, match="another kgen is at work") as caught:
            Output(root, "render")
        assert caught.value.exit_code == ExitCode.FAILED
        first.prepare({})
        first.commit()
    assert write(root, artifact("a")) == ()


PATHS = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "f/a", "f/g/h/a"])
SETS = st.dictionaries(PATHS, st.tuples(st.sampled_from(["", "1", "22"]), st.sampled_from([0o600, 0o644])))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sets=st.lists(SETS, min_size=1, max_size=5), foreign=st.sampled_from(["d/mine", "f/g/mine", "mine"]))
def test_any_sequence_ends_in_the_last_set_and_foreign_files(tmp_path_factory, sets, foreign):
    root = tmp_path_factory.mktemp("out") / "prod"
    for number, entries in enumerate(sets):
        artifacts = [artifact(path, content, mode) for path, (content, mode) in entries.items()]
        would = compare(root, *artifacts)
        assert write(root, *artifacts) == would
        assert compare(root, *artifacts) == ()
        if number == 0:
            (root / foreign).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (root / foreign).write_text("mine")
    last = {path: content for path, (content, _) in sets[-1].items()}
    assert tree(root) == {**last, foreign: "mine"}
    for path, (_, mode) in sets[-1].items():
        assert stat.S_IMODE((root / path).stat().st_mode) == mode
    assert all(
        any(path.iterdir()) for path in root.rglob("*") if path.is_dir() and path not in (root / foreign).parents
    )


class FailAt:
    """Let the n-th call of the watched functions raise, and count the calls."""

    NAMES = ("mkdir", "open", "write", "fsync", "fchmod", "chmod", "rename", "replace", "link", "unlink", "rmdir")

    def __init__(self, monkeypatch, number: int, code: int, names=NAMES) -> None:
        self.calls, self.number, self.code = 0, number, code
        for name in names:
            monkeypatch.setattr(os, name, self._wrap(getattr(os, name)))

    def _wrap(self, real):
        def call(*args, **kwargs):
            self.calls += 1
            if self.calls == self.number:
                raise OSError(self.code, os.strerror(self.code))
            return real(*args, **kwargs)

        return call


def _without_times(found):
    return {path: (mode, content) for path, (mode, _, content) in found.items()}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_failure_at_any_call_leaves_old_or_new_output_whole(tmp_path, code):
    states = {}
    for name, artifacts in (("old", OLD), ("new", NEW)):
        write(tmp_path / name, *OLD)
        write(tmp_path / name, *artifacts)
        states[name] = snapshot(tmp_path / name)
    number = 0
    failures = 0
    while True:
        number += 1
        root = tmp_path / f"run{number}"
        write(root, *OLD)
        with pytest.MonkeyPatch.context() as patch:
            fault = FailAt(patch, number, code)
            try:
                write(root, *NEW)
                failed = ""
            except KgenError as error:
                failed = str(error)
        assert not failed or str(root) in failed
        if fault.calls < number:
            assert not failed
            break
        failures += bool(failed)
        found = snapshot(root)
        leftovers = {path: found.pop(path) for path in list(found) if path.startswith(".kgen-new")}
        expected = states["old"] if failed else states["new"]
        assert _without_times(found) == _without_times(expected), (number, failed)
        assert not failed or not leftovers or ".kgen-new/journal" not in leftovers, number
        write(root, *NEW)
        assert _without_times(snapshot(root)) == _without_times(states["new"]), number
    assert failures > 20


def test_failure_of_rollback_too_is_repaired_by_the_next_run(root, monkeypatch):
    write(root, *OLD)
    before = snapshot(root)
    with monkeypatch.context() as patch:
        calls = iter(range(100))
        real = os.replace

        def replace(*args, **kwargs):
            if next(calls) >= 1:
                raise OSError(errno.EIO, "I/O error")
            return real(*args, **kwargs)

        patch.setattr(os, "replace", replace)
        with pytest.raises(KgenError):
            write(root, artifact("keep", "other"), artifact("user-data/m2", "other"))
    assert (root / ".kgen-new/journal").exists()
    with Output(root, "render"):
        pass
    assert snapshot(root) == before


def test_file_systems_without_hard_links_work(root, monkeypatch):
    def link(*_, **__):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", link)
    write(root, *OLD)
    write(root, *NEW)
    assert tree(root)["user-data/m1"] == "new"


def _killed(root: Path, number: int) -> int:
    """Fork a writer of NEW that kills itself before its n-th system call; return the signal, 0 when it finished."""
    child = os.fork()
    if child == 0:
        FailAtKill(number)
        write(root, *NEW)
        os._exit(0)
    return os.waitpid(child, 0)[1]


class FailAtKill:
    """Kill this process before the n-th call of the watched functions."""

    def __init__(self, number: int) -> None:
        self.calls, self.number = 0, number
        for name in FailAt.NAMES:
            setattr(os, name, self._wrap(getattr(os, name)))

    def _wrap(self, real):
        def call(*args, **kwargs):
            self.calls += 1
            if self.calls == self.number:
                os.kill(os.getpid(), 9)
            return real(*args, **kwargs)

        return call


def test_kill_at_any_call_is_repaired_by_the_next_run(tmp_path):
    write(tmp_path / "old", *OLD)
    old = _without_times(snapshot(tmp_path / "old"))
    write(tmp_path / "old", *NEW)
    new = _without_times(snapshot(tmp_path / "old"))
    number = 0
    while True:
        number += 1
        root = tmp_path / f"run{number}"
        write(root, *OLD)
        if _killed(root, number) == 0:
            break
        with Output(root, "render"):
            pass
        assert _without_times(snapshot(root)) in (old, new), number
        # another cluster file by now: what the killed run had made does not stand in the way
        write(root, artifact("n/m1/etc/f", "else"), artifact("user-data/m3", "else"))
        assert tree(root) == {"n/m1/etc/f": "else", "user-data/m3": "else"}, number
    assert number > 30
    assert _without_times(snapshot(root)) == new


def test_two_processes_at_once_do_not_mix(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "PATIENCE_SECONDS", 60)
    root = tmp_path / "prod"
    children = []
    for letter in "ab":
        child = os.fork()
        if child == 0:
            for _ in range(40):
                write(root, *(artifact(f"d/{number}", letter) for number in range(20)))
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert len(set(tree(root).values())) == 1
    assert not (root / ".kgen-new").exists()


IN_NAMESPACE = """
import os, subprocess, sys
from pathlib import Path
from kgen.errors import KgenError
from tests.unit.output.test_writer import NEW, OLD, artifact, snapshot, write
root = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", root], check=True)
write(root / "prod", *OLD)
before = snapshot(root)
for mib in (1, 4):
    big = [artifact(f"user-data/big{n}", "x" * 65536) for n in range(mib * 16)]
    try:
        write(root / "prod", *NEW, *big)
    except KgenError as error:
        assert "the disk is full" in str(error), error
    else:
        sys.exit("no error on a full disk")
    assert snapshot(root) == before
subprocess.run(["mount", "-o", "remount,ro", root], check=True)
for target in (root / "prod", root / "new"):
    try:
        write(target, *NEW)
    except KgenError as error:
        assert "the file system is read-only" in str(error), error
    else:
        sys.exit("no error on a read-only disk")
assert snapshot(root) == before
subprocess.run(["mount", "-o", "remount,rw", root], check=True)
write(root / "prod", *NEW)
"""


@pytest.mark.real
def test_full_and_read_only_disk(tmp_path):
    repository = Path(__file__).resolve().parents[3]
    result = subprocess.run(
        ["unshare", "-Urm", sys.executable, "-c", IN_NAMESPACE, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{repository}:{repository / 'generator'}"},
        check=False,
    )
    assert result.returncode == 0, result.stderr
