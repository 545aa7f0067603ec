"""examples/ansible: ansible-core takes the play; run with a stand-in for SSH, it brings each machine its own script."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.pages import ROOT

EXAMPLE = ROOT / "examples/ansible"
SSH = '#!/bin/sh\ncat >"$0-$1"\necho "$1" >>"$0.log"\necho "kgen: nothing to change"\n'
KGEN = """\
#!/bin/sh
if [ "$1" = wait ]; then echo "$4" >>"$0.log"; exit; fi
exec "{python}" -m kgen "$@"
"""


@pytest.fixture
def play(here):
    """Run the play beside examples/prod.yaml, with SSH and `kgen wait` replaced; return its exit code and output."""
    for path in (*EXAMPLE.glob("*.yaml"), ROOT / "examples/prod.yaml"):
        shutil.copy(path, here)
    programs = here / "bin"
    programs.mkdir()
    for name, text in (("ssh", SSH), ("kgen", KGEN.format(python=sys.executable))):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "generator"),
        "ANSIBLE_HOME": str(here / "ansible"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "LC_ALL": "C.UTF-8",
    }

    def run(*options):
        command = [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.yaml", "apply.yaml", *options]
        return subprocess.run(command, cwd=here, env=environment, text=True, capture_output=True, check=False)

    return run


def test_the_inventory_has_the_listed_machines_of_the_example():
    machines = yaml.safe_load((ROOT / "examples/prod.yaml").read_text())["machines"]
    groups = yaml.safe_load((EXAMPLE / "inventory.yaml").read_text())["all"]["children"]
    for group, role in (("masters", "master"), ("nodes", "node")):
        listed = {machine["name"]: machine["address"] for machine in machines if machine["role"] == role}
        assert {name: host["ansible_host"] for name, host in groups[group]["hosts"].items()} == listed


@pytest.mark.real
def test_ansible_takes_the_syntax(play):
    ended = play("--syntax-check")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.real
def test_the_play_renders_and_brings_each_machine_its_script_masters_first(play, kgen, here):
    assert kgen("render", "prod.yaml").code == 0
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text.replace("labels: {tier: web}", "labels: {tier: front}"))
    ended = play("--check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "tier=web → tier=front" in ended.stdout
    assert not (here / "bin/ssh.log").exists()
    ended = play()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "tier=front" in (here / "outputs/prod/nodes/workers/var/lib/kubelet/kubeadm-flags.env").read_text()
    addresses = ["10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.21", "10.0.0.22"]
    assert log(here / "bin/ssh.log") == [f"root@{address}" for address in addresses]
    assert log(here / "bin/kgen.log") == ["m1", "m2", "m3", "w1", "w2"]
    for machine, address in zip(("m1", "m2", "m3", "w1", "w2"), addresses, strict=True):
        assert (here / f"bin/ssh-root@{address}").read_text() == kgen("apply", "prod.yaml", machine).out
    assert "PRIVATE KEY" not in ended.stdout


@pytest.mark.real
def test_the_play_stops_before_machines_change_if_a_certificate_expires_soon(play, kgen, here):
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text + "certificateValidityPeriod: 480h\n")
    assert kgen("render", "prod.yaml").code == 0
    ended = play("--skip-tags", "apply")
    assert ended.returncode != 0
    assert "No certificate expires within 30 days" in ended.stdout
    assert not (here / "bin/ssh.log").exists()


@pytest.mark.real
def test_the_play_prints_what_starts_new_machines(play, kgen, here):
    assert kgen("render", "prod.yaml").code == 0
    ended = play("--tags", "attach", "--extra-vars", '{"new_machines": ["workers"]}')
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "openstack server create" in ended.stdout
    assert not (here / "bin/ssh.log").exists()


def log(path: Path) -> list[str]:
    """Return the lines that a stand-in has written."""
    return path.read_text().splitlines()
