import errno
import os
import stat

import pytest


def test_init_writes_a_file_that_renders(kgen, here):
    ended = kgen("init", "lab")
    assert (ended.code, ended.err) == (0, "")
    assert "next: edit it, then `kgen render lab.yaml`" in ended.out
    assert kgen("render", "lab.yaml").code == 0
    assert (here / "outputs/lab/admin.conf").exists()


def test_init_tells_editors_the_schema(kgen, here):
    (here / "kgen.schema.json").write_text("mine")
    kgen("init", "a")
    assert (here / "kgen.schema.json").read_text() == "mine"
    (here / "sub").mkdir()
    kgen("init", "sub/b.yaml")
    assert (here / "sub/b.yaml").read_text().startswith("# yaml-language-server: $schema=kgen.schema.json\n")
    assert (here / "sub/kgen.schema.json").read_text() == kgen("schema").out


@pytest.mark.parametrize(
    ("argument", "written"),
    [((), "cluster.yaml"), (("x.yml",), "x.yml"), (("sub/x.yaml",), "sub/x.yaml"), (("./y",), "y")],
)
def test_init_takes_a_name_or_a_file(kgen, here, argument, written):
    (here / "sub").mkdir()
    assert kgen("init", *argument).code == 0
    assert f"name: {(here / written).stem}\n" in (here / written).read_text()


@pytest.mark.parametrize("place", [lambda path: path.write_text("mine"), lambda path: path.symlink_to("nowhere")])
def test_init_overwrites_nothing(kgen, here, place):
    place(here / "cluster.yaml")
    ended = kgen("init")
    assert ended.code == 2
    assert "cluster.yaml exists already" in ended.err
    assert (here / "cluster.yaml").is_symlink() or (here / "cluster.yaml").read_text() == "mine"
    assert sorted(path.name for path in here.iterdir()) == ["cluster.yaml", "prod.yaml"]


@pytest.mark.parametrize("name", ["Prod", "a_b", "-a", "a" * 64, "a.b", ".yaml"])
def test_init_refuses_a_name_no_cluster_can_have(kgen, here, name):
    ended = kgen("init", "--", name)
    assert ended.code == 2
    assert "cannot be a cluster's name" in ended.err
    assert [path.name for path in here.iterdir()] == ["prod.yaml"]


@pytest.mark.parametrize(("name", "quoted"), [("missing", "missing"), ("my dir", "'my dir'")])
def test_init_into_a_missing_directory_is_reported_in_a_sentence(kgen, name, quoted):
    ended = kgen("init", f"{name}/x.yaml")
    assert ended.code == 2
    assert ended.err == f"error: there is no directory {name}\n  hint: create it: `mkdir -p {quoted}`\n"


def test_init_on_a_full_disk_leaves_nothing(kgen, here, monkeypatch):
    def write(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        ended = kgen("init")
    assert ended.code == 1
    assert "cluster.yaml: the disk is full" in ended.err
    assert [path.name for path in here.iterdir()] == ["prod.yaml"]


def test_init_outside_git_ignores_nothing(kgen, here):
    kgen("init")
    assert not (here / ".gitignore").exists()


def test_init_in_a_git_tree_adds_the_ignore_lines_once(kgen, here):
    (here / ".git").mkdir()
    (here / ".gitignore").write_text("*.pyc")
    (here / ".gitignore").chmod(0o640)
    ended = kgen("init", "a")
    assert "added to .gitignore: *.secrets.yaml /outputs/" in ended.out
    assert kgen("init", "b").out.count("added") == 0
    assert (here / ".gitignore").read_text() == "*.pyc\n*.secrets.yaml\n/outputs/\n"
    assert stat.S_IMODE((here / ".gitignore").stat().st_mode) == 0o640


def test_init_follows_no_link_in_place_of_gitignore(kgen, here):
    (here / ".git").mkdir()
    (here / "profile").write_text("theirs")
    (here / ".gitignore").symlink_to("profile")
    ended = kgen("init")
    assert ended.code == 1
    assert ".gitignore: it is a symbolic link, not a plain file" in ended.err
    assert (here / "profile").read_text() == "theirs"


def test_init_below_the_top_of_a_git_tree_ignores_beside_the_file(kgen, here):
    (here / ".git").write_text("gitdir: elsewhere")
    (here / "sub").mkdir()
    kgen("init", "sub/x.yaml")
    assert (here / "sub/.gitignore").read_text() == "*.secrets.yaml\n/outputs/\n"
