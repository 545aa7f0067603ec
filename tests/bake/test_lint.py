"""What others' tools say about the recipe: salt-lint, and Packer as Debian has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bake.conftest import Tree
from tests.components import cache, debian, machine_image

MINION = """\
id: image
file_client: local
root_dir: {directory}/state
log_file: {directory}/log
file_roots: {{base: [{bake}/salt]}}
pillar_roots: {{base: [{bake}/pillar]}}
grains: {{os_family: {family}}}
enable_fqdns_grains: false
"""


def test_salt_lint_finds_nothing(tmp_path):
    bake = machine_image.recipe(machine_image.FORKY, tmp_path).root / "bake"
    states = sorted(map(str, bake.glob("salt/**/*.sls")))
    done = subprocess.run([Path(sys.executable).with_name("salt-lint"), *states], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_packer_takes_the_template(tmp_path):
    bake = machine_image.recipe(machine_image.FORKY, tmp_path).root / "bake"
    packer = debian.root("packer", "bookworm", ["packer"]) / "usr/bin/packer"
    given = (f"archives={tmp_path}", f"base_checksum=sha256:{'0' * 64}")

    def validate(*options: str) -> str:
        words = [packer, "validate", *options, *(word for each in given for word in ("-var", each)), "image.pkr.hcl"]
        environment = {"HOME": str(tmp_path)}
        done = subprocess.run(words, capture_output=True, text=True, cwd=bake / "packer", env=environment)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    assert validate("-only=amazon-ebs.image") == ""
    assert "seed.key" in validate()
    subprocess.run([bake / "packer/seed"], check=True)
    assert validate() == ""


def states(directory: Path, family: str) -> dict[str, Any]:
    """Return the states as Salt itself makes them for a family of distributions that does not run here."""
    bake = machine_image.recipe(machine_image.FORKY, directory).root / "bake"
    (directory / "minion").write_text(MINION.format(directory=directory, bake=bake, family=family))
    (salt,) = (cache.cache_root() / "kgen").glob("salt-*-python3.14")
    words = [debian.python("forky"), salt / "bin/salt-call", "--local", f"--config-dir={directory}", "--out=json"]
    command = [*map(str, words), "--log-level=error", "--retcode-passthrough", "state.show_sls", "kgen"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(salt)})
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["local"]
    return found


def test_other_families_have_their_states(tmp_path):
    tree = Tree(tmp_path, "forky")
    assert tree.apply().returncode == 0  # Salt is in the cache now
    tree.remove()
    red_hat = json.dumps(states(tmp_path, "RedHat"))
    for word in ("conntrack-tools", "iptables-nft", "/etc/chrony.conf", "/usr/libexec/cni", "dnf-automatic.timer"):
        assert word in red_hat
    assert "systemd-timesyncd" not in red_hat
    unknown = states(tmp_path, "Suse")
    assert "no package names for the family Suse" in json.dumps(unknown["this-distribution-is-not-known"])
