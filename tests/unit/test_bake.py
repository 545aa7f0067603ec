"""The recipe as it is written: the same for every cluster of a release, beside what a render writes, nothing secret."""

import ast
import json
import re
import stat
from pathlib import Path

import jinja2
import pytest
import yaml

from kgen import api, payload, resources
from kgen.cli.main import run as kgen
from kgen.facts import names

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


def test_verify_finds_what_a_cluster_left_also_where_its_first_boot_is_done(tmp_path):
    left = {
        *("etc/kubernetes/admin.conf", "var/lib/kubelet/config.yaml", "var/lib/etcd/member/wal", "var/lib/kgen/done"),
        *("etc/kgen/proxy.env", "etc/systemd/system/kubelet.service.d/kgen-proxy.conf"),
        *("etc/cni/net.d/10-kgen-bridge.conflist", "usr/local/lib/kgen/firstboot.py"),
        *("etc/kgen/metadata-fence.nft", "etc/systemd/system/kgen-metadata-fence.service"),
        "etc/systemd/system/kubelet.service.d/kgen-metadata-fence.conf",
    }
    root = tmp_path / "root"
    for name in ("etc/os-release", "etc/kgen/image.json", *left):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")
    found = {each.path for each in api.verify_image(cluster(tmp_path), root) if "a cluster's machine" in each.message}
    directories = {"/etc/kubernetes", "/var/lib/kubelet", "/var/lib/etcd", "/var/lib/kgen"}
    assert found == directories | {f"/{name}" for name in left if not f"/{name}".startswith(tuple(directories))}


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


@pytest.mark.parametrize(
    "name", ["etc/kubernetes/pki/ca.crt", "var/lib/kubelet/x", "var/lib/etcd/member/wal/0", "var/lib/kgen/done"]
)
def test_files_of_a_clusters_machine_in_an_image_are_found_also_after_its_first_boot(tmp_path, name):
    tree = tmp_path / "tree"
    for directory in ("etc/kubernetes/manifests", "var/lib/kubelet", "var/lib/etcd", "var/lib/kgen"):
        (tree / directory).mkdir(parents=True)
    (tree / "etc/os-release").touch()
    path = cluster(tmp_path)
    before = {it.path for it in api.verify_image(path, tree) if "cluster's machine" in it.message}
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).touch()
    (found,) = (it.path for it in api.verify_image(path, tree) if "cluster's machine" in it.message)
    assert (before, name.startswith(found.removeprefix("/"))) == (set(), True)


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
    content["sections"]["bake"]["facts"]["payloadFormats"] = [1]
    lock.write_text(json.dumps(content))
    found = [problem.message for problem in api.render(path, tmp_path).warnings if problem.code == "K911"]
    assert found == ["the image that was baked last takes payloads of format 1, the machines need format 2"]
    content["sections"]["bake"]["facts"]["payloadFormats"] = [2]
    lock.write_text(json.dumps(content))
    own = "{role: node, name: p, labels: {zone: {metadata: v1.region}}}"
    path.write_text(path.read_text() + f"pools: [{own}]\n")
    found = [problem.message for problem in api.render(path, tmp_path).warnings if problem.code == "K911"]
    assert found == ["the image that was baked last takes payloads of format 2, the machines need format 3"]
    path.write_text(path.read_text() + "userData: {secrets: sealed}\n")
    found = [problem.message for problem in api.render(path, tmp_path).warnings if problem.code == "K911"]
    assert found == ["the image that was baked last takes payloads of format 2, the machines need format 4"]


def test_an_image_for_fenced_machines_has_nftables(tmp_path):
    path = cluster(tmp_path)
    assert "nftables" not in api.bake(path, tmp_path).recipe.extra_packages
    path.write_text(path.read_text() + "metadataFence: true\n")
    found = [problem.message for problem in api.render(path, tmp_path).warnings if problem.code == "K911"]
    assert found == ["the image that was baked last lacks the package nftables, which metadataFence needs"]
    api.bake(path, tmp_path)
    assert '"nftables"' in (tmp_path / "c/bake/pillar/kgen.sls").read_text()
    assert not [problem for problem in api.render(path, tmp_path).warnings if problem.code == "K911"]


def test_a_render_for_an_image_warns_when_none_was_baked(tmp_path):
    path = cluster(tmp_path)
    (found,) = [problem for problem in api.render(path, tmp_path).warnings if problem.code == "K911"]
    assert "none was baked into this output" in found.message
    assert f"kgen bake {path}" in found.hint
    path.write_text(path.read_text().replace("image: {runner: baked}\n", ""))
    assert not [problem for problem in api.render(path, tmp_path).warnings if problem.code == "K911"]


def test_the_image_says_which_payloads_its_programs_take(tmp_path):
    root = api.bake(cluster(tmp_path), tmp_path).root
    pillar = json.loads((root / "bake/pillar/kgen.sls").read_text().partition("\n")[2])["kgen"]
    every = [payload.FORMAT, payload.FORMAT_WITH_OWN_VALUES, payload.FORMAT_SEALED, payload.FORMAT_WITH_STORED_TOKEN]
    assert pillar["image"]["payloadFormats"] == every
    for role in ("master", "node"):
        program = (root / f"bake/salt/kgen/files/usr/local/lib/kgen/firstboot-{role}.py").read_text()
        found = re.findall(r"^FORMATS \+?= (\(.*\))$", program, re.MULTILINE)
        formats = [number for row in found for number in ast.literal_eval(row)]
        inside = [number for number in every if number != payload.FORMAT_SEALED]
        assert formats == (inside if role == "node" else inside[:2])  # only nodes join with a token
        assert f"\nSEALED = {payload.FORMAT_SEALED}\n" in program


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


OWN = """\
  extraPackages: [nfs-common]
  units:
    - nfs-client.target
    - {name: backup@db.timer, source: backup.timer}
    - {name: tune.service, content: "[Service]\\nExecStart=/bin/true\\n"}
"""


def with_own(directory):
    path = cluster(directory)
    (directory / "backup.timer").write_text("[Timer]\nOnCalendar=daily\n")
    path.write_text(path.read_text().replace("image: {runner: baked}\n", "image:\n  runner: baked\n" + OWN))
    return path


def states(root, name):
    """Return the states of a file as Salt's renderers make them: Jinja with the pillar, then YAML."""
    pillar = json.loads((root / "bake/pillar/kgen.sls").read_text().partition("\n")[2])
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(root / "bake/salt"), autoescape=False)
    environment.filters["json"] = json.dumps
    environment.globals |= {"pillar": pillar, "grains": {"os_family": "Debian"}}
    return yaml.safe_load(environment.get_template(f"kgen/{name}.sls").render())


def test_the_recipe_installs_the_users_packages_and_enables_the_users_units(tmp_path):
    root = api.bake(with_own(tmp_path), tmp_path).root
    assert states(root, "packages")["packages"]["pkg.installed"][1]["pkgs"][-1] == "nfs-common"
    found = states(root, "files")
    for unit in ("nfs-client.target", "backup@db.timer", "tune.service"):
        run = {key: value for each in found[f"{unit}-enabled"]["cmd.run"] for key, value in each.items()}
        assert run["name"] == f"systemctl enable {unit}"
        assert run["unless"] == f"systemctl is-enabled --quiet {unit}"
        assert ({"file": f"/etc/systemd/system/{unit}"} in run["require"]) == (unit != "nfs-client.target")
    assert "/etc/systemd/system/tune.service" in found
    units = root / "bake/salt/kgen/files/etc/systemd/system"
    assert (units / "backup@db.timer").read_text() == "[Timer]\nOnCalendar=daily\n"
    assert (units / "tune.service").read_text() == "[Service]\nExecStart=/bin/true\n"
    assert not (units / "nfs-client.target").exists()


def test_verify_finds_the_users_packages_and_units_that_an_image_lacks(tmp_path):
    path = with_own(tmp_path)
    tree = tmp_path / "tree"
    wants = tree / "etc/systemd/system/multi-user.target.wants"
    for directory in (tree / "var/lib/dpkg", wants):
        directory.mkdir(parents=True)
    (tree / "etc/os-release").touch()
    (tree / "var/lib/dpkg/status").write_text("Package: nfs-common\nStatus: deinstall ok config-files\nVersion: 1\n")
    (wants / "tune.service").symlink_to("/etc/systemd/system/tune.service")
    names = ("nfs-client.target", "backup@db.timer", "tune.service", "package nfs-common")
    found = {it.path: it.message for it in api.verify_image(path, tree) if it.path in names}
    not_enabled = dict.fromkeys(("nfs-client.target", "backup@db.timer"), "is not enabled")
    assert found == {**not_enabled, "package nfs-common": "is not installed"}
    (wants / "backup@db.timer").symlink_to("/usr/lib/systemd/system/backup@.timer")
    (tree / "etc/systemd/system/nfs.target").symlink_to("/usr/lib/systemd/system/nfs-client.target")
    (tree / "var/lib/dpkg/status").write_text("Package: nfs-common\nStatus: install ok installed\nVersion: 1\n")
    assert [it for it in api.verify_image(path, tree) if it.path in names] == []


@pytest.mark.parametrize("words", [[], ["--check"], ["--verify", "/"]])
def test_no_image_is_made_for_another_runtime(tmp_path, words, capsys):
    path = cluster(tmp_path)
    text = path.read_text().replace(
        "image: {runner: baked}", 'nodeRegistration: {criSocket: "unix:///run/crio/crio.sock"}'
    )
    path.write_text(text)
    assert kgen(["bake", str(path), "--output", str(tmp_path), *words]) == 2
    assert "m1 uses the runtime at unix:///run/crio/crio.sock: kgen bake makes images with containerd only" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "c").exists()
    assert kgen(["images", "list", str(path)]) == 0
