"""``kgen lab``: what it refuses before a machine is on. tests/boot/test_lab.py runs whole machines."""

import os
import shutil

import pytest

QEMU = "qemu-system-x86_64"
IMAGE_FACTS = '[{"format": "raw", "virtual-size": 512}]'


@pytest.fixture
def programs(here, monkeypatch):
    """Programs with the names of QEMU's, as far as a lab needs them before it starts something.

    Where QEMU is installed they are QEMU's own.
    """
    if shutil.which(QEMU) and shutil.which("qemu-img"):
        return
    directory = here / "bin"
    directory.mkdir()
    for name, text in ((QEMU, "echo QEMU emulator version 7.2.0"), ("qemu-img", f"echo '{IMAGE_FACTS}'")):
        (directory / name).write_text(f"#!/bin/sh\n{text}\n")
        (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


def test_missing_qemu_is_a_sentence(kgen, rendered, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    ended = kgen("lab", "up", "prod.yaml", "--image", "image.qcow2")
    assert ended.code == 1
    assert "qemu-system-x86_64 and qemu-img cannot be found" in ended.err
    assert "apt-get install qemu-system-x86 qemu-utils" in ended.err


@pytest.mark.usefixtures("programs", "rendered")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "a new lab needs an image"),
        (("--image", "none.qcow2"), "none.qcow2 cannot be used as an image: no such file or directory"),
        (("--image", "."), "cannot be used as an image: is a directory"),
        (("--image", "prod.yaml", "--kernel", "none"), "none cannot be used as a file"),
        (("--image", "prod.yaml", "--memory", "100000000"), "--memory"),
        (("--image", "prod.yaml", "--pool", "other=2"), "there is no pool 'other'"),
        (("--image", "prod.yaml", "--pool", "workers"), "write workers=2"),
        (("--image", "prod.yaml", "--pool", "workers=0"), "write workers=2"),
        (("--image", "prod.yaml", "--initrd", "prod.yaml"), "--initrd belongs to a --kernel"),
    ],
)
def test_wrong_arguments_are_sentences_and_leave_nothing(kgen, here, words, said):
    ended = kgen("lab", "up", "prod.yaml", *words)
    assert ended.code == 2
    assert said in ended.err
    assert not (here / "outputs/prod/lab").exists()


@pytest.fixture
def disk(here):
    """An image that the firmware would start."""
    (here / "disk.img").write_bytes(bytes(510) + b"\x55\xaa")


@pytest.mark.usefixtures("programs", "rendered")
@pytest.mark.parametrize("words", [("up", "--image"), ("image", "-o", "new.qcow2", "--from")], ids=["up", "image"])
def test_a_file_that_does_not_start_is_refused_at_once(kgen, here, words):
    """Such as the page that a download of a wrong address brings, and a disk that needs --kernel."""
    (here / "page.img").write_text("<html>404</html>")
    (here / "short.img").write_bytes(b"\x55\xaa")
    (here / "tree.img").write_bytes(bytes(1 << 20))
    for name in ("page.img", "short.img", "tree.img"):
        ended = kgen("lab", words[0], "prod.yaml", *words[1:], name)
        assert ended.code == 2
        assert f"{name} does not start: it has no boot sector" in ended.err
        assert "--kernel and --initrd" in ended.err
    os.mkfifo(here / "pipe.img")
    for name in ("pipe.img", "/dev/null"):
        ended = kgen("lab", words[0], "prod.yaml", *words[1:], name)
        assert ended.code == 2
        assert f"{name} cannot be used as an image: it is no file" in ended.err
    assert not (here / "outputs/prod/lab").exists()


@pytest.mark.usefixtures("programs", "rendered", "disk")
def test_too_little_memory_is_a_sentence(kgen):
    ended = kgen("lab", "up", "prod.yaml", "--image", "disk.img", "--memory", "1000000")
    assert ended.code == 1
    assert "MiB of memory; this computer has" in ended.err
    assert "--memory MIB" in ended.err


@pytest.mark.usefixtures("programs", "rendered", "disk")
def test_port_that_is_taken_is_a_sentence(kgen):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        ended = kgen("lab", "up", "prod.yaml", "--image", "disk.img", "--api-port", port)
    assert ended.code == 2
    assert f"port {port} of 127.0.0.1 is taken" in ended.err


@pytest.mark.usefixtures("programs")
def test_only_rendered_documents_boot(kgen, here, rendered):
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text.replace("10.0.0.21}", "10.0.0.21, labels: {rack: r7}}"))
    ended = kgen("lab", "up", "prod.yaml", "--image", "prod.yaml")
    assert ended.code == 2
    assert "is not what was rendered" in ended.err


@pytest.mark.usefixtures("programs")
def test_endpoint_at_which_nothing_answers_is_refused(kgen, here):
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text + "controlPlaneEndpoint: api.example.com:443\n")
    assert kgen("render", "prod.yaml").code == 0
    ended = kgen("lab", "up", "prod.yaml", "--image", "prod.yaml")
    assert ended.code == 2
    assert "nothing listens at controlPlaneEndpoint api.example.com:443 in a lab" in ended.err
    assert "with the port 6443 in controlPlaneEndpoint" in ended.err
    assert not (here / "outputs/prod/lab").exists()


@pytest.mark.usefixtures("programs", "disk")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "none.qcow2"), "none.qcow2 cannot be used as an image: no such file or directory"),
        (("--from", "prod.yaml", "--initrd", "prod.yaml"), "--initrd belongs to a --kernel"),
        (("--from", "disk.img", "--files", "outputs"), "names the file kubelet as image.kubelet, which is not there"),
        (("--from", "prod.yaml", "--archives", "none"), "'none' does not exist"),
        (("--from", "prod.yaml", "-o", "prod.yaml"), "prod.yaml exists already"),
        (("--from", "prod.yaml", "-o", "none/image.qcow2"), "there is no directory none"),
    ],
)
def test_wrong_arguments_of_an_image_are_sentences_and_leave_nothing(kgen, here, words, said):
    (here / "outputs").mkdir()
    with (here / "prod.yaml").open("a") as file:
        file.write(f"image: {{kubelet: {{file: kubelet, sha256: {'ab' * 32}}}}}\n")
    before = (here / "prod.yaml").read_text()
    ended = kgen("lab", "image", "prod.yaml", "-o", "image.qcow2", *words)
    assert ended.code == 2
    assert said in ended.err
    assert not list(here.glob("**/*.qcow2")) + list(here.glob("**/.kgen-lab-image-*"))
    assert (here / "prod.yaml").read_text() == before


def test_an_image_without_qemu_is_a_sentence(kgen, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    ended = kgen("lab", "image", "prod.yaml", "--from", "prod.yaml", "-o", "image.qcow2")
    assert ended.code == 1
    assert "apt-get install qemu-system-x86 qemu-utils" in ended.err


@pytest.mark.parametrize(
    "words", [("status",), ("console", "m1"), ("kubeconfig",), ("stop", "m1"), ("kill", "m1"), ("down",)]
)
def test_without_a_lab_each_verb_says_how_to_start_one(kgen, rendered, words):
    ended = kgen("lab", *words)
    assert ended.code == 2
    assert "there is no lab in outputs" in ended.err
    assert "kgen lab up CLUSTER_FILE --image IMAGE.qcow2" in ended.err


def test_down_removes_a_lab_with_a_damaged_state_and_nothing_else(kgen, here, rendered):
    directory = rendered / "lab"
    (directory / "m1").mkdir(parents=True)
    (directory / "lab.json").write_text("{")
    (directory / "image").symlink_to(here / "prod.yaml")
    (directory / "outside").symlink_to(here)
    before = {path for path in here.rglob("*") if directory not in path.parents}
    assert kgen("lab", "status").code == 1
    assert kgen("lab", "down").code == 0
    assert set(here.rglob("*")) == before - {directory}


def test_render_leaves_a_lab_alone(kgen, rendered):
    (rendered / "lab/m1").mkdir(parents=True)
    (rendered / "lab/lab.json").write_text("{}")
    assert kgen("render", "prod.yaml").code == 0
    assert kgen("render", "prod.yaml", "--check").code == 0
    assert (rendered / "lab/lab.json").exists()


def test_a_link_in_the_place_of_a_lab_is_refused(kgen, here, rendered):
    (here / "other").mkdir()
    (here / "other/lab.json").write_text("{}")
    (rendered / "lab").symlink_to(here / "other")
    ended = kgen("lab", "down")
    assert ended.code == 1
    assert "is a symbolic link" in ended.err
    assert (here / "other/lab.json").exists()
