import io
import os
import subprocess
import tarfile
from dataclasses import replace

import pytest
import yaml
from pycdlib import PyCdlib
from tests.clusters import one_master

from kgen.bake import tree
from kgen.bake.recipe import recipe
from kgen.lab import building, qemu


@pytest.fixture
def sources(tmp_path):
    for name, file in (("archives", "pause.tar"), ("files", "kubectl"), ("wheels", "salt.whl")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(file)
    (tmp_path / "archives/deeper").mkdir()
    return building.Sources(recipe(one_master()), *(tmp_path / name for name in ("archives", "files", "wheels")))


@pytest.fixture
def machine(tmp_path, sources):
    """The directory of a machine that is about to make an image."""
    directory = tmp_path / "machine"
    directory.mkdir()
    building.prepare(directory, sources)
    return directory


def files(image) -> dict[str, bytes]:
    """Return the files of an ISO image by the paths that Linux shows."""
    disk = PyCdlib()
    disk.open(str(image))
    found = {}
    for directory, _, names in disk.walk(rr_path="/"):
        for name in names:
            path = f"{directory.rstrip('/')}/{name}"
            with io.BytesIO() as content:
                disk.get_file_from_iso_fp(content, rr_path=path)
                found[path] = content.getvalue()
    disk.close()
    return found


def test_drive_has_the_recipe_and_what_it_needs(machine, sources):
    found = files(machine / "bake.iso")
    assert found.keys() == {"/build", "/recipe.tar", "/archives/pause.tar", "/wheels/salt.whl"}  # kubectl: a package
    assert found["/archives/pause.tar"] == b"pause.tar"
    with tarfile.open(fileobj=io.BytesIO(found["/recipe.tar"])) as archive:
        members = {member.name: member for member in archive}
        assert members["apply"].mode & 0o111
        assert {f"bake/{name}" for name in members} == {str(it.path) for it in tree.artifacts(sources.recipe)}
        assert {member.uid for member in archive} == {0}


def test_seed_starts_the_work_with_what_was_given(machine):
    text = files(machine / qemu.SEED)["/user-data"].decode()
    assert text.startswith("#cloud-config\n")
    ((*shell, script),) = yaml.safe_load(text)["runcmd"]
    assert shell == ["sh", "-c"]
    assert subprocess.run(["sh", "-n", "-c", script], env=dict(os.environ)).returncode == 0
    assert "--pull --archives /mnt/archives --files /mnt/files --wheels /mnt/wheels" in script
    assert "After=cloud-final.service" in script


def test_programs_that_the_cluster_file_names_are_on_the_drive(tmp_path, sources):
    cluster = one_master()
    image = replace(cluster.image, programs={"kubectl": {"file": "kubectl", "sha256": "ab" * 32}})
    (sources.files / "kubeadm").write_text("not wanted")
    own = recipe(replace(cluster, image=image))
    building.prepare(tmp_path, building.Sources(own, files=sources.files, wheels=sources.wheels))
    assert [name for name in files(tmp_path / "bake.iso") if name.startswith("/files")] == ["/files/kubectl"]


def test_lines_are_told_once_and_whole(tmp_path):
    told: list[str] = []
    log = tmp_path / "result.log"
    with log.open("wb") as writer, log.open("rb") as reader:
        lines = building._Lines(reader)
        for part in (b"apply: inst", b"alling Salt\r\n\x1b[1m", b"changed: containerd\x1b[0m\r\nkgen: exit 0\r\n"):
            writer.write(part)
            writer.flush()
            lines.tell(told.append)
    assert told == ["apply: installing Salt", "changed: containerd"]
