import ast
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kgen.errors import KgenError
from kgen.lab import qemu


def values(command: list[str], option: str) -> list[str]:
    return [command[number + 1] for number, word in enumerate(command) if word == option]


def command(lab, name="m1") -> list[str]:
    return qemu.machine_command(lab, lab.machine(name), lab.directory_of(name))


def test_machine_writes_to_its_own_disk_only(lab):
    root, seed = values(command(lab), "-drive")
    assert root.startswith("file=disk.qcow2,")
    assert "readonly=on" in seed
    assert lab.image not in " ".join(command(lab))


def test_machine_has_one_network_card_on_the_lab_s_network(lab):
    (wire,) = values(command(lab), "-netdev")
    assert wire == "stream,id=net,server=off,addr.type=unix,addr.path=../machines.sock"
    assert "virtio-net-pci,netdev=net,mac=52:54:00:00:00:11" in values(command(lab), "-device")


def test_sockets_have_short_paths(lab):
    far = replace(lab, directory=Path("/" + "x" * 200))
    paths = [part for word in command(far) for part in word.split(",") if ".sock" in part]
    assert paths
    assert all(len(part) < 60 for part in paths)


def test_emulation_and_kvm_have_their_processors(lab):
    assert values(command(lab), "-cpu") == ["host"]
    assert values(command(replace(lab, accelerator="tcg")), "-cpu")[0].startswith("max,")


def test_kernel_of_an_image_without_a_boot_loader(lab):
    assert not {"-kernel", "-append", "-initrd"} & set(command(lab))
    own = replace(lab, kernel="/srv/vmlinuz", initrd="/srv/initrd.img", append="root=/dev/vda rw")
    assert values(command(own), "-kernel") == ["/srv/vmlinuz"]
    assert values(command(own), "-append") == ["root=/dev/vda rw"]
    assert values(command(own), "-initrd") == ["/srv/initrd.img"]


def test_serial_and_uuid_are_the_cluster_files(lab):
    uuid = "11111111-2222-3333-4444-555555555555"
    own = replace(lab, machines=(replace(lab.machines[0], serial="A,1", uuid=uuid),))
    assert values(command(own), "-smbios") == ["type=1,serial=A,,1"]
    assert values(command(own), "-uuid") == [uuid]


def test_a_sealed_machine_gets_its_key_from_a_file(lab):
    assert not values(command(lab), "-fw_cfg")
    key = lab.directory_of("m1") / qemu.SEAL_KEY
    key.parent.mkdir(parents=True, exist_ok=True)
    key.touch()
    assert values(command(lab), "-fw_cfg") == ["name=opt/io.systemd.credentials/kgen.seal-key,file=seal.key"]
    key.unlink()


def test_gateway_forwards_ssh_of_all_and_the_api_of_masters(lab):
    user = values(qemu.gateway_command(lab, lab.directory), "-netdev")[0]
    assert user.startswith("user,id=user,ipv6=off,net=10.0.0.0/24,host=10.0.0.1,dns=10.0.0.2,")
    assert [part for part in user.split(",") if part.startswith("hostfwd")] == [
        "hostfwd=tcp:127.0.0.1:40022-10.0.0.11:22",
        "hostfwd=tcp:127.0.0.1:40443-10.0.0.11:6443",
        "hostfwd=tcp:127.0.0.1:40023-10.0.0.21:22",
    ]


def test_switch_needs_the_standard_library_only(tmp_path):
    words = qemu.switch_command(tmp_path)
    assert words[:2] == [sys.executable, "-I"]
    tree = ast.parse(Path(words[2]).read_text())
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("present", "named", "package"),
    [
        ((), "qemu-system-x86_64 and qemu-img", "apt-get install qemu-system-x86 qemu-utils"),
        (("qemu-system-x86_64",), "qemu-img", "apt-get install qemu-utils"),
    ],
)
def test_missing_programs_are_named_with_their_package(tmp_path, monkeypatch, present, named, package):
    for name in present:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KgenError) as failure:
        qemu.require_programs()
    assert failure.value.message == f"{named} cannot be found"
    assert package in failure.value.hint


def test_old_qemu_is_refused(tmp_path, monkeypatch):
    for name in ("qemu-system-x86_64", "qemu-img"):
        (tmp_path / name).write_text("#!/bin/sh\necho QEMU emulator version 6.2.0\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KgenError, match=r"QEMU 6\.2 is too old"):
        qemu.require_programs()
