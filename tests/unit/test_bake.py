"""The recipe as it is written: the same for every cluster of a release, beside what a render writes, nothing secret."""

import json
import re
import stat
from pathlib import Path

import pytest

from kgen import api, names, resources
from kgen.cli.main import run as kgen

CLUSTER = """\
apiVersion: kgen/v1
name: {name}
kubernetesVersion: {version}
image: {{runner: baked}}
machines: [{{name: {machine}, role: master, address: 10.0.0.{last}}}]
"""


def cluster(directory, name="c", version="v1.37.2", machine="m1", last=1):
    directory.mkdir(exist_ok=True)
    path = directory / "cluster.yaml"
    path.write_text(CLUSTER.format(name=name, version=version, machine=machine, last=last))
    return path


def files(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_it_goes_by_the_release_and_by_nothing_else_of_a_cluster(tmp_path):
    one = api.bake(cluster(tmp_path / "1"), tmp_path / "1")
    other = api.bake(cluster(tmp_path / "2", "other", machine="x9", last=99), tmp_path / "2")
    assert files(one.root / "bake") == files(other.root / "bake")
    older = api.bake(cluster(tmp_path / "3", version="v1.33.13"), tmp_path / "3")
    assert older.recipe.sha256 != one.recipe.sha256


def test_a_second_bake_changes_nothing_and_check_says_so(tmp_path, capsys):
    path = cluster(tmp_path)
    words = ["bake", str(path), "--output", str(tmp_path)]
    assert kgen([*words, "--check"]) == 3
    assert not (tmp_path / "c").exists()
    assert kgen(words) == 0
    assert kgen([*words, "--check"]) == 0
    assert "is up to date" in capsys.readouterr().out
    assert stat.S_IMODE((tmp_path / "c/bake/apply").stat().st_mode) == 0o755
    assert not (tmp_path / "cluster.secrets.yaml").exists()


def test_bake_and_render_leave_each_others_files(tmp_path):
    path = cluster(tmp_path)
    api.bake(path, tmp_path)
    api.render(path, tmp_path)
    assert api.bake(path, tmp_path).changes == ()
    assert api.render(path, tmp_path).changes == ()
    assert {"bake", "render"} == json.loads((tmp_path / "c/kgen.lock.json").read_text())["sections"].keys()


STATUS = """\
Package: systemd-timesyncd
Status: install ok installed
Maintainer: nobody
Version: 257.9-1

Package: runc
Status: install ok installed
Version: 1.3.6+ds1-1

Package: containernetworking-plugins
Status: deinstall ok config-files
Version: 1.9.1-1
"""


def test_pinned_packages_are_looked_up_under_their_debian_names(tmp_path):
    path = cluster(tmp_path)
    pins = 'packages: {runc: "1.3.*", ntp: "258.*", cni-plugins: "1.9.*"}'
    path.write_text(path.read_text().replace("{runner: baked}", f"{{runner: baked, {pins}}}"))
    tree = tmp_path / "tree"
    (tree / "var/lib/dpkg").mkdir(parents=True)
    (tree / "var/lib/dpkg/status").write_text(STATUS)
    (tree / "etc").mkdir()
    (tree / "etc/os-release").touch()
    found = {it.path: it.message for it in api.verify_image(path, tree) if it.path.startswith("package ")}
    assert found == {
        "package systemd-timesyncd": "is version 257.9-1, not 258.*",
        "package containernetworking-plugins": "is not installed",
        "package kubelet": "is not installed",
        "package kubectl": "is not installed",
    }


def test_a_render_warns_of_what_the_last_bake_lacks(tmp_path):
    api.bake(cluster(tmp_path, version="v1.36.3"), tmp_path)
    path = cluster(tmp_path)
    found = [problem.message for problem in api.render(path, tmp_path).warnings if problem.code == "K911"]
    assert found[0] == "the image that was baked last is for v1.36.3, the machines need v1.37.2"
    assert "does not hold registry.k8s.io/kube-apiserver:v1.37.2, " in found[1]
    api.bake(path, tmp_path)
    assert not [problem for problem in api.render(path, tmp_path).warnings if problem.code == "K911"]
    lock = tmp_path / "c/kgen.lock.json"
    content = json.loads(lock.read_text())
    content["sections"]["bake"]["facts"]["texts"]["master"] = "0"
    lock.write_text(json.dumps(content))
    found = [problem.message for problem in api.render(path, tmp_path).warnings if problem.code == "K911"]
    assert found == ["the image that was baked last has another first-boot program than this kgen"]


def test_the_pillar_is_data_that_no_input_turns_into_a_template(tmp_path):
    path = cluster(tmp_path)
    hostile = '  kubelet: {package: "1.37.2-*"}\n  containerImages: ["docker.io/x/y:1"]\n'
    path.write_text(path.read_text().replace("image: {runner: baked}", "image:\n  runner: baked\n" + hostile))
    root = api.bake(path, tmp_path).root
    first, _, rest = (root / "bake/pillar/kgen.sls").read_text().partition("\n")
    assert first == "#!json"
    pillar = json.loads(rest)["kgen"]
    assert pillar["programs"]["kubelet"] == {"package": "1.37.2-*"}
    assert (root / "bake/images.txt").read_text().endswith("docker.io/x/y:1\n")


@pytest.mark.parametrize("words", [["--verify", "no-such-directory"], ["--verify", "."]])
def test_verify_of_what_is_no_system(tmp_path, words, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert kgen(["bake", str(cluster(tmp_path)), *words]) == 2
    assert capsys.readouterr().err


def test_everything_that_is_kept_for_images_is_in_the_recipe(tmp_path):
    made = set(files(api.bake(cluster(tmp_path), tmp_path).root / "bake"))
    kept = Path(str(resources.templates_root()))
    trees = {"bake/tree": "salt/kgen/files", "bake/scripts": "scripts", "salt": "salt", "bake/packer": "packer"}
    for source, target in trees.items():
        below = {str(path.relative_to(kept / source)) for path in (kept / source).rglob("*") if path.is_file()}
        assert below
        assert {f"{target}/{name}" for name in below} - made == set(), source


def test_the_units_of_the_first_boot_are_enabled():
    (listed,) = re.findall(r"for unit in \[(.*)\]", resources.template_text("salt/kgen/files.sls"))
    assert listed.replace("'", "").split(", ") == list(names.FIRST_BOOT_UNITS)
