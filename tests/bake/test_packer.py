"""A disk made by Packer, as the recipe's README says, from a Debian as clouds offer it; a machine starts from it.

Packer is Debian's, the accelerator that of the boot tests. One thing differs from a user's machine: QEMU gets the
kernel directly, without a boot loader.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kgen import api
from tests.boot.clusters import Cluster
from tests.boot.host import KERNEL_ARGUMENTS, host
from tests.boot.machines import Segment
from tests.boot.test_generations import CLUSTER
from tests.components import cache, containers, debian, golang, machine_image, salt_wheels, traces
from tests.components.machine_image import FORKY, INITRD, KERNEL, TRIXIE, Generation

pytestmark = [pytest.mark.boot, pytest.mark.soak]

EMULATOR = "qemu-system-x86_64"
BOOT_LOADER = """\
#!/bin/sh
case " $* " in
    *" -drive "*) set -- "$@" -kernel {kernel} -initrd {initrd} -append "{words}" -serial file:{console} ;;
esac
exec {emulator} "$@"
"""


def emulator(directory: Path, base: Path) -> Path:
    """Return a directory with QEMU as Packer finds it first: one that is handed the kernel of ``base``."""
    programs = directory / "bin"
    programs.mkdir()
    text = BOOT_LOADER.format(
        emulator=shutil.which(EMULATOR),
        kernel=base / KERNEL,
        initrd=base / INITRD,
        words=f"root=/dev/vda {KERNEL_ARGUMENTS}",
        console=directory / "console",
    )
    (programs / EMULATOR).write_text(text, encoding="utf-8")
    (programs / EMULATOR).chmod(0o755)
    return programs


def build(directory: Path, bake: Path, base: Path, generation: Generation, python: str) -> Path:
    """Type what the recipe's README says and return the disk that Packer has made."""
    with (base / machine_image.DISK).open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    files = directory / "files"
    files.mkdir()
    for name in ("kubelet", "kubectl"):
        shutil.copy(golang.kubernetes(generation.kubernetes) / name, files)
    variables = {
        "accelerator": host().accelerator,
        "base": base / machine_image.DISK,
        "base_checksum": f"sha256:{checksum}",
        "archives": containers.archives(generation.kubernetes, generation.etcd, generation.coredns, generation.pause),
        "files": files,
        "wheels": salt_wheels.directory(python, bake),
    }
    path = f"{emulator(directory, base)}:{os.environ['PATH']}"
    environment = {**os.environ, "HOME": str(directory), "PATH": path, "PACKER_NO_COLOR": "1"}
    subprocess.run([bake / "packer/seed"], check=True, env=environment)
    packer = debian.root("packer", "bookworm", ["packer"]) / "usr/bin/packer"
    given = [word for name, value in variables.items() for word in ("-var", f"{name}={value}")]
    command = [packer, "build", "-only=qemu.image", *given, "image.pkr.hcl"]
    done = subprocess.run(command, cwd=bake / "packer", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return bake / "packer/image/packer-image"


@pytest.mark.parametrize(("generation", "python"), [(FORKY, "3.14"), (TRIXIE, "3.13")], ids=["forky", "trixie"])
def test_packer_builds_an_image_that_boots(tmp_path: Path, generation: Generation, python: str) -> None:
    bake = machine_image.recipe(generation, tmp_path).root / "bake"
    base = machine_image.cloud_image(generation.suite)
    disk = build(tmp_path, bake, base, generation, python)
    raw = tmp_path / "raw"
    cache.run(["qemu-img", "convert", "-O", "raw", disk, raw])
    with machine_image.mounted(raw, tmp_path / "mounted") as root:
        assert list(api.verify_image(tmp_path / "cluster.yaml", root)) == []
        assert traces.left_over(root) == []
        key = (bake / "packer/seed.key.pub").read_text().split()[1]
        searched = subprocess.run(["grep", "-rlF", "--devices=skip", key, str(root)], capture_output=True, text=True)
        assert (searched.returncode, searched.stdout) == (1, "")
    with Segment("packer") as segment:
        text = CLUSTER.format(version=generation.kubernetes, name="m1")
        cluster = Cluster(segment, tmp_path / "cluster", text, generation)
        machine = cluster.machine("m1", 11)
        machine.image = base  # its kernel
        machine.new_disk(disk)
        machine.power_on()
        cluster.wait(20)
