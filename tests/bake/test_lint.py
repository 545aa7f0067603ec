"""What others' tools say about the recipe: salt-lint, and Packer as Debian has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.components import debian, machine_image


def test_salt_lint_finds_nothing(tmp_path):
    bake = machine_image.recipe(machine_image.FORKY, tmp_path).root / "bake"
    states = sorted(map(str, bake.glob("salt/**/*.sls")))
    done = subprocess.run([Path(sys.executable).with_name("salt-lint"), *states], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_packer_takes_the_template(tmp_path):
    bake = machine_image.recipe(machine_image.FORKY, tmp_path).root / "bake"
    packer = debian.root("packer", "bookworm", ["packer"]) / "usr/bin/packer"
    given = (f"archives={tmp_path}", f"files={tmp_path}", f"base_checksum=sha256:{'0' * 64}")
    command = [packer, "validate", *(word for each in given for word in ("-var", each)), "image.pkr.hcl"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=bake / "packer", env={"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
