"""docs/reference/python.md: its code runs, in order, and the page names every function."""

import re
from pathlib import Path

import pytest

from kgen import api
from kgen.errors import InputError

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")
CLUSTER = """\
apiVersion: kgen/v1
name: prod
kubernetesVersion: v1.37.2
machines:
  - {name: m1, role: master, address: 10.0.0.11}
"""


def test_the_code_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    (tmp_path / "broken.yaml").write_text("name: 1.30\n")
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
    assert len(blocks) == 6
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "python.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "m1 master" in printed
    assert "broken.yaml 1" in printed
    assert "\nmade\n" in printed
    assert "True ['" in printed
    assert "instance-id: prod-m1" in printed


def test_emit_yields_what_render_writes(tmp_path):
    cluster_file = tmp_path / "cluster.yaml"
    cluster_file.write_text(CLUSTER)
    root = api.render(cluster_file, tmp_path / "outputs").root
    emitted = {str(artifact.path): artifact.content for artifact in api.emit(cluster_file)}
    written = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    del written["kgen.lock.json"]
    assert emitted == written


def test_emit_has_no_seeds_of_stubs(tmp_path):
    cluster_file = tmp_path / "cluster.yaml"
    cluster_file.write_text(CLUSTER + "userData: {secrets: byReference}\n")
    api.render(cluster_file, tmp_path / "outputs")
    with pytest.raises(InputError, match="byReference"):
        next(iter(api.emit(cluster_file, "seed")))


def test_the_functions_of_the_page_take_text_for_a_path(tmp_path, capsys):
    cluster_file = tmp_path / "cluster.yaml"
    cluster_file.write_text(CLUSTER)
    result = api.render(str(cluster_file), str(tmp_path / "outputs"))
    assert result.root == tmp_path / "outputs/prod"
    assert api.load(str(cluster_file)) == api.load(cluster_file)
    assert [it.path for it in api.emit(str(cluster_file))] == [it.path for it in api.emit(cluster_file)]
    assert capsys.readouterr() == ("", "")


def test_the_page_names_every_function():
    functions = [name for name in api.__all__ if name[0].islower() and name != "describe"]
    assert [name for name in functions if f"`{name}`" not in PAGE and f"api.{name}" not in PAGE] == []
