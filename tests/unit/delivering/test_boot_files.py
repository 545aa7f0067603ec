"""The boot files: which files of a directory are served."""

import os

import pytest

from kgen.delivering import boot_files
from kgen.errors import InputError, KgenError


@pytest.fixture
def directory(tmp_path):
    directory = tmp_path / "tree"
    directory.mkdir()
    for name in ("vmlinuz", "initrd.img"):
        (directory / name).touch()
    return directory


def test_what_loaders_and_initrds_fetch_is_served_and_nothing_else(directory):
    served = {"root.squashfs", "disk.img", "disk.raw.zst", "ipxe.efi", "undionly.kpxe", "vmlinuz-6.12.1+deb13-amd64"}
    for name in served | {
        "admin.conf",
        "prod.secrets.yaml",
        "m1.yaml.gz.txt",
        "id_rsa",
        ".hidden.img",
        "kgen.lock.json",
    }:
        (directory / name).touch()
    (directory / "boot.img").mkdir()
    (directory / "bad name.img").touch()
    assert set(boot_files.find(directory)) == {"vmlinuz", "initrd.img"} | served


def test_links_inside_of_the_directory_are_followed(directory):
    (directory / "boot").mkdir()
    (directory / "vmlinuz").rename(directory / "boot/vmlinuz-6")
    (directory / "vmlinuz").symlink_to("boot/vmlinuz-6")
    assert boot_files.find(directory)["vmlinuz"] == directory / "boot/vmlinuz-6"


def test_a_link_that_leads_out_is_refused(directory):
    (directory.parent / "secret").touch()
    (directory / "disk.img").symlink_to("../secret")
    with pytest.raises(InputError, match=r"disk\.img is a link that leads out of"):
        boot_files.find(directory)


@pytest.mark.parametrize("name", ["vmlinuz", "initrd.img"])
def test_kernel_and_initrd_must_be_there(directory, name):
    (directory / name).unlink()
    with pytest.raises(InputError, match=f"has no {name}"):
        boot_files.find(directory)


def test_a_missing_directory_is_an_error(tmp_path):
    with pytest.raises(KgenError, match="No such file"):
        boot_files.find(tmp_path / "nowhere")


def test_a_file_that_cannot_be_read_is_an_error_at_once(directory, monkeypatch):
    opened = os.open

    def refuse(path, *arguments, **more):  # the tests' user may be root, who can read everything
        if str(path).endswith("initrd.img"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **more)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(KgenError, match=r"initrd\.img: permission denied") as caught:
        boot_files.find(directory)
    assert "owner and mode" in caught.value.hint


def test_what_took_the_place_of_a_boot_file_is_not_read(directory):
    (directory / "vmlinuz").write_bytes(b"kernel")
    assert boot_files.size(directory / "vmlinuz") == 6
    (directory / "link").symlink_to("vmlinuz")
    os.mkfifo(directory / "pipe")
    for name in ("link", "pipe", "nowhere"):
        with pytest.raises(OSError, match=name):
            boot_files.size(directory / name)
