"""``kgen images``: archives are found by what they hold, copied, saved and written down."""

from __future__ import annotations

import json
import shlex
import subprocess
import tarfile

import pytest

from kgen.cli.main import run as kgen
from tests.bake.conftest import Tree
from tests.certificates import issue_certificate
from tests.components import containers, golang, registry
from tests.components.machine_image import FORKY

CLUSTER = """\
apiVersion: kgen/v1
name: c
kubernetesVersion: v1.37.2
machines: [{name: m1, role: master, address: 10.0.0.1}]
"""


@pytest.fixture
def cluster(tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    return path


def test_the_list_is_kubeadms(cluster, capsys):
    assert kgen(["images", "list", str(cluster)]) == 0
    kubeadm = golang.kubernetes(FORKY.kubernetes) / "kubeadm"
    command = [kubeadm, "config", "images", "list", "--kubernetes-version", "v1.37.2"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert capsys.readouterr().out == listed


def test_archives_are_copied_and_written_down(cluster, tmp_path, capsys):
    given = containers.archives(FORKY.kubernetes, FORKY.etcd, FORKY.coredns, FORKY.pause)
    directory = tmp_path / "saved"
    assert kgen(["images", "save", str(cluster), str(directory), "--archives", str(given)]) == 0
    assert capsys.readouterr().out.count("copied  registry") == 7
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "images.sha256"], cwd=directory, check=True)
    assert len(list(directory.iterdir())) == 8
    assert kgen(["images", "save", str(cluster), str(directory)]) == 0
    assert capsys.readouterr().out.count("kept    registry") == 7


def test_what_nothing_can_save_is_reported_in_a_sentence(cluster, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert kgen(["images", "save", str(cluster), str(tmp_path / "saved")]) == 2
    assert "kube-apiserver:v1.37.2: nothing here can save it: none of skopeo, docker" in capsys.readouterr().err
    assert not list((tmp_path / "saved").iterdir())


def test_a_program_that_fails_leaves_nothing_half_done(cluster, tmp_path, monkeypatch, capsys):
    skopeo = tmp_path / "skopeo"
    skopeo.write_text('#!/bin/sh\necho half >"${4#docker-archive:}"; echo "no route to registry" >&2; exit 1\n')
    skopeo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert kgen(["images", "save", str(cluster), str(tmp_path / "saved")]) == 1
    assert "cannot be saved: skopeo: no route to registry" in capsys.readouterr().err
    assert not list((tmp_path / "saved").iterdir())


def test_a_docker_without_its_daemon_is_the_cause_that_is_named(cluster, tmp_path, monkeypatch, capsys):
    docker = tmp_path / "docker"
    words = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    docker.write_text(f'#!/bin/sh\necho "{words}" >&2; exit 1\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert kgen(["images", "save", str(cluster), str(tmp_path / "saved")]) == 1
    error = capsys.readouterr().err
    assert f"cannot be saved: docker: {words}" in error
    assert "start the service that docker talks to" in error


def test_a_registry_gives_what_no_archive_holds(tmp_path, monkeypatch, capsys):
    given = containers.archives(FORKY.kubernetes, FORKY.etcd, FORKY.coredns, FORKY.pause)
    chain = issue_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain[0]))
    program = tmp_path / "bin/skopeo"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(registry.skopeo())} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    directory = tmp_path / "saved"
    with registry.Registry(tmp_path / "registry", "127.0.0.1", certificate=chain) as served:
        cluster = tmp_path / "cluster.yaml"
        cluster.write_text(f"{CLUSTER}imageRepository: {served.name}\n")
        for archive, path in registry.references(given):
            served.push(archive, path.removeprefix("coredns/"))  # as kubeadm has it in other repositories
        assert kgen(["images", "save", str(cluster), str(directory)]) == 0, capsys.readouterr().err
        assert capsys.readouterr().out.count("saved   127.0.0.1:5000/") == 7
        cluster.write_text(cluster.read_text().replace("v1.37.2", "v1.37.3"))
        assert kgen(["images", "save", str(cluster), str(tmp_path / "none")]) == 1
        assert "kube-apiserver:v1.37.3 cannot be saved: skopeo: " in capsys.readouterr().err
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "images.sha256"], cwd=directory, check=True)
    for archive in directory.glob("*_pause_*.tar"):
        (original,) = given.glob("*_pause_*.tar")
        assert layers(archive) == layers(original)
    assert not (tmp_path / "none" / "images.sha256").exists()


def layers(archive):
    """Return the checksums of what the layers of an image hold."""
    with tarfile.open(archive) as opened:
        (image,) = json.load(opened.extractfile("manifest.json"))
        return json.load(opened.extractfile(image["Config"]))["rootfs"]["diff_ids"]


def test_a_changed_archive_is_not_imported(tmp_path):
    tree = Tree(tmp_path, "forky")
    given = containers.archives(FORKY.kubernetes, FORKY.etcd, FORKY.coredns, FORKY.pause)
    tree.recipe()
    directory = tmp_path / "saved"
    assert kgen(["images", "save", str(tmp_path / "cluster.yaml"), str(directory), "--archives", str(given)]) == 0
    (pause,) = directory.glob("*pause*")
    with tarfile.open(pause, "a") as archive:
        archive.add(__file__, "more")
    done = tree.apply(archives=directory)
    assert done.returncode == 1
    assert f"{pause.name} has another checksum than images.sha256 says" in done.stderr
    tree.remove()
