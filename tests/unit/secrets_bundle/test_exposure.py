import subprocess

import pytest

from kgen.secrets_bundle.exposure import exposure, git_warning, mode_warning


@pytest.fixture
def path(tmp_path):
    return tmp_path / "prod.secrets.yaml"


def git(directory, *words):
    subprocess.run(["git", "-C", directory, *words], check=True, capture_output=True)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_mode_that_lets_others_in_is_a_warning(path, mode):
    path.touch(mode=0o600)
    assert mode_warning(path) is None
    path.chmod(mode)
    warning = mode_warning(path)
    assert warning is not None
    assert (warning.code, warning.hint) == ("B301", f"chmod 600 {path}")
    assert f"{mode:04o}" in warning.message


def test_without_a_file_and_outside_git_there_is_nothing_to_warn_about(path):
    assert exposure(path) == ()


def test_without_git_installed_there_is_no_warning(path, monkeypatch):
    (path.parent / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert git_warning(path) is None


@pytest.mark.real
def test_inside_a_work_tree_it_must_be_ignored_and_untracked(path):
    below = path.parent / "sub" / path.name
    below.parent.mkdir()
    git(path.parent, "init", "-q")
    assert [warning.code for warning in exposure(path)] == ["B302"]
    assert git_warning(below) is not None
    (path.parent / ".gitignore").write_text("*.secrets.yaml\n")
    assert git_warning(path) is None
    assert git_warning(below) is None
    path.touch(mode=0o600)
    git(path.parent, "add", "-f", path.name)
    warning = git_warning(path)
    assert warning is not None
    assert "git rm --cached" in warning.hint


@pytest.mark.real
def test_a_git_that_fails_causes_no_warning(path):
    (path.parent / ".git").mkdir()
    assert git_warning(path) is None
