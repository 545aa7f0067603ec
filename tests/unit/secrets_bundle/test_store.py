from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from kgen.errors import InputError, KgenError, ProblemsError
from kgen.output import disk
from kgen.secrets_bundle import format as document
from kgen.secrets_bundle import store


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "prod.secrets.yaml"


@pytest.fixture
def other(bundle):
    return replace(bundle, tokens=("aaaaaa.0123456789abcdef",))


@pytest.mark.parametrize(
    ("cluster_file", "expected"),
    [("prod.yaml", "prod.secrets.yaml"), ("a/b.c.yml", "a/b.c.secrets.yaml"), ("x/cluster", "x/cluster.secrets.yaml")],
)
def test_the_bundle_is_beside_the_cluster_file(cluster_file, expected):
    assert store.path_for(Path(cluster_file)) == Path(expected)


def test_a_written_bundle_is_read_back_and_private(path, bundle):
    assert store.read(path) is None
    old = os.umask(0)
    try:
        store.write(path, bundle)
    finally:
        os.umask(old)
    assert store.read(path) == bundle
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_loose_mode_is_tightened_by_the_next_write(path, bundle, other):
    store.write(path, bundle)
    path.chmod(0o644)
    store.write(path, other)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_symbolic_link_remains_a_symbolic_link(tmp_path, path, bundle, other):
    target = tmp_path / "vault" / "real.yaml"
    target.parent.mkdir()
    store.write(target, bundle)
    path.symlink_to(target)
    store.write(path, other)
    assert path.is_symlink()
    assert store.read(target) == other
    target.unlink()
    with pytest.raises(KgenError, match="points to a file that does not exist"):
        store.read(path)


def test_an_unreadable_file_is_an_error_in_one_sentence(path, bundle):
    path.mkdir()
    with pytest.raises(KgenError, match=r"cannot read .*: Is a directory"):
        store.read(path)
    with pytest.raises(KgenError, match=r"cannot write .*: Is a directory") as caught:
        store.write(path, bundle)
    assert caught.value.exit_code == 1


def test_damage_before_yaml_has_a_place(path):
    path.write_bytes(b"apiVersion: kgen/v1\nkind: \xff\n")
    with pytest.raises(ProblemsError) as caught:
        store.read(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column, problem.code) == (str(path), 2, 7, "B101")


@pytest.mark.parametrize("head", ["age-encryption.org/v1\n-> X", "-----BEGIN AGE ENCRYPTED FILE-----\n"])
def test_an_encrypted_bundle_says_so(path, head):
    path.write_text(head)
    with pytest.raises(InputError, match="encrypted with age"):
        store.read(path)


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_failing_call_leaves_the_old_file_and_nothing_else(path, bundle, other, monkeypatch, call):
    store.write(path, bundle)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*{"replace": (Path, "replace")}.get(call, (os, call)), fail)
    with pytest.raises(KgenError, match="No space left on device") as caught:
        store.write(path, other)
    monkeypatch.undo()
    assert caught.value.exit_code == 1
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_kill_leaves_the_old_file_or_the_new_one_and_the_next_write_cleans_up(path, bundle, other, monkeypatch, call):
    store.write(path, bundle)
    child = os.fork()
    if child == 0:
        real = os.fsync if call == "fsync" else Path.replace

        def die(*args):
            if call == "replace":
                real(*args)
            os.kill(os.getpid(), 9)

        monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), die)
        store.write(path, other)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 9
    assert store.read(path) == (bundle if call == "fsync" else other)
    leftovers = [file for file in path.parent.iterdir() if file != path]
    assert len(leftovers) == (call == "fsync")
    for file in leftovers:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.match("*.secrets.yaml")  # what git is told to ignore
    store.write(path, other)
    assert list(path.parent.iterdir()) == [path]


def test_leftovers_of_another_cluster_stay(path, bundle):
    foreign = path.with_name(".kgen-new.prod2.secrets.yaml")
    foreign.touch()
    store.write(path, bundle)
    assert foreign.exists()


def test_only_one_kgen_holds_the_lock(path, monkeypatch):
    monkeypatch.setattr(disk, "PATIENCE_SECONDS", 0.1)
    with store.locked(path):
        with pytest.raises(KgenError, match="another kgen is at work") as caught, store.locked(path):
            pass
        assert caught.value.exit_code == 1
    with store.locked(path):
        pass


def test_kgen_waits_for_a_lock_that_is_soon_released(path):
    held = threading.Event()
    order = []

    def hold():
        with store.locked(path):
            held.set()
            threading.Event().wait(0.2)
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with store.locked(path):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_missing_directory_is_an_error_in_one_sentence(tmp_path):
    with pytest.raises(KgenError, match="No such file or directory"), store.locked(tmp_path / "no" / "x.secrets.yaml"):
        pass


WRITER = """
import sys
from pathlib import Path
from kgen.errors import KgenError
from kgen.output import disk
from kgen.secrets_bundle import format as document, store
disk.PATIENCE_SECONDS = 60  # on a busy machine one writer may be kept waiting
source, target = map(Path, sys.argv[1:3])
bundle = document.parse(source.read_text(), "")
try:
    for _ in range(int(sys.argv[3])):
        with store.locked(target):
            found = store.read(target)
            store.write(target, bundle)
except KgenError as error:
    sys.exit(f"{error.exit_code.value}: {error}")
"""


@pytest.mark.real
def test_two_writers_at_once_never_mix(tmp_path, path, bundle, other):
    writers = []
    for name, content in (("a", bundle), ("b", other)):
        source = tmp_path / name
        source.write_text(document.dump(content))
        writers.append(subprocess.Popen([sys.executable, "-c", WRITER, str(source), str(path), "40"]))
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert store.read(path) in (bundle, other)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.real
@pytest.mark.parametrize(
    ("mount", "reason"),
    [("size=64k", "No space left on device"), ("size=1M,remount,ro", "Read-only file system")],
    ids=["full", "read-only"],
)
def test_a_full_or_read_only_disk_is_an_error_and_loses_nothing(tmp_path, bundle, mount, reason):
    source, disk = tmp_path / "source", tmp_path / "disk"
    source.write_text(document.dump(bundle))
    disk.mkdir()
    target = disk / "prod.secrets.yaml"
    script = f"""
set -e
mount -t tmpfs -o {mount.partition(",")[0]} tmpfs {disk}
cp {source} {target}
{f"mount -o {mount.partition(',')[2]} {disk}" if "," in mount else ""}
{sys.executable} -c "$WRITER" {source} {target} 1 2>&1 || echo "code $?"
cmp {source} {target} && ls -A {disk}
"""
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script], env={**os.environ, "WRITER": WRITER}, capture_output=True, text=True
    )
    assert done.returncode == 0, done
    assert f"1: cannot write the secrets bundle {target}: {reason}" in done.stdout
    assert f"{target} is as it was" in done.stdout
    assert done.stdout.splitlines()[-1] == target.name
