"""The shell of bootcmd and runcmd, run below a scratch root: what it makes, calls and returns.

systemctl and cloud-init answer here as they would on a machine; on real ones the boot tier does this.
"""

import json
import subprocess
import sys
from dataclasses import replace
from typing import get_args

import pytest
import yaml
from tests import clusters

from kgen import resources
from kgen.facts import names
from kgen.firstboot import program as runner_source
from kgen.model import Role
from kgen.payload import Payload
from kgen.user_data import document

EMBEDDED = clusters.one_master()
BAKED = replace(EMBEDDED, runner="baked")
IMAGES = "bake/tree/usr/lib/systemd/system/{}.service"
OF_ALL = {
    "Type=oneshot",
    "DefaultDependencies=no",
    "Restart=on-failure",
    "RestartPreventExitStatus=2 4",
    "StartLimitIntervalSec=0",
    "StandardOutput=journal+console",
    "WantedBy=multi-user.target",
}
OF_ONE = {
    "kgen-firstboot": {
        "ConditionPathExists=!/var/lib/kgen/done",
        "After=basic.target cloud-config.target containerd.service network-online.target",
    },
    "kgen-later": {"ConditionPathExists=/var/lib/kgen/done", "After=basic.target cloud-final.service"},
}
BEFORE_START = ["enable kgen-firstboot kgen-later", "start --no-block kgen-later", "is-failed --quiet kgen-firstboot"]
NETWORK_FILES = (
    "etc/netplan/50-cloud-init.yaml",
    "etc/network/interfaces.d/50-cloud-init",
    "etc/systemd/network/10-cloud-init-eth0.network",
    "etc/NetworkManager/system-connections/cloud-init-eth0.nmconnection",
    "var/lib/cloud/instance/network-config.json",
)
STATUS = "run/kgen/status.json"
DELIVERS = pytest.mark.parametrize(
    "script", [document.bootcmd(EMBEDDED, "master"), document.image_deliver()], ids=["document", "image"]
)
STARTS = pytest.mark.parametrize("cluster", [EMBEDDED, BAKED], ids=["document", "image"])


@pytest.fixture
def root(tmp_path):
    for path in ("var/lib/cloud/instance/sem", "var/lib/cloud/data", "var/lib/kgen", "usr/local/lib/kgen", "bin"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "usr/local/sbin").mkdir()
    return tmp_path


def program(root, name, text):
    path = root / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run(root, script, is_failed=1, start=0, arguments=()):
    """Run a script below ``root``; return it done, and what systemctl and cloud-init were called with."""
    calls = root / "calls"
    calls.write_text("")
    answers = f"case $1$2 in is-failed*) exit {is_failed};; startkgen-firstboot) exit {start};; esac"
    program(root, "systemctl", f'echo "$@" >> {calls}; {answers}')
    program(root, "cloud-init", f'echo cloud-init "$@" >> {calls}')
    for path in ("/etc", "/var/lib", "/usr/local"):
        script = script.replace(f" {path}/", f" {root}{path}/")
    environment = {"PATH": f"{root}/bin:{root}/usr/local/sbin:/usr/bin:/bin"}
    words = ["sh", "-c", script, "sh", *arguments]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    return done, calls.read_text().splitlines()


def shipped(root, text):
    """Put a program there in place of the first-boot program."""
    runner = root / str(names.RUNNER_PATH)[1:]
    runner.write_text(text)
    runner.chmod(0o755)
    return runner


@pytest.mark.parametrize("name", names.FIRST_BOOT_UNITS)
def test_the_units_of_a_document_are_those_of_an_image(name):
    text = document.opening(EMBEDDED, a_payload()) + document.shared(EMBEDDED, "master", "", (), {}).content.decode()
    files = {file["path"]: file for file in yaml.safe_load(text)["write_files"]}
    file = files[f"/etc/systemd/system/{name}.service"]
    assert file["content"] == resources.template_text(IMAGES.format(name))
    assert file["permissions"] == "0644"
    assert set(file["content"].splitlines()) >= OF_ALL | OF_ONE[name]


def a_payload():
    return Payload(name="m1", role="master", is_pool=False, files=(), directories={}, blobs={})


@DELIVERS
def test_a_boot_before_the_machine_is_done_delivers_again(root, script):
    semaphores = root / "var/lib/cloud/instance/sem"
    for module in ("write_files", "runcmd", "scripts_user", "set_hostname", "users_groups", "ntp", "ssh"):
        (semaphores / f"config_{module}").touch()
    done, calls = run(root, script, arguments=["master"])
    assert (done.returncode, done.stderr, calls) == (0, "", [])
    assert [path.name for path in semaphores.iterdir()] == ["config_ssh"]


@DELIVERS
def test_a_machine_that_is_done_is_left_alone(root, script):
    (root / str(names.DONE_PATH)[1:]).touch()
    left = [root / "var/lib/cloud/instance/sem/config_write_files", root / NETWORK_FILES[-1]]
    for path in left:
        path.touch()
    done, calls = run(root, script, arguments=["master"])
    assert (done.returncode, calls) == (0, [])
    assert all(path.exists() for path in left)


@DELIVERS
@pytest.mark.parametrize("lost", NETWORK_FILES)
def test_an_empty_network_file_of_cloud_init_is_written_again(root, script, lost):
    for name in NETWORK_FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("" if name == lost else "whole")
    known = root / "var/lib/cloud/data/instance-id"
    known.touch()
    done, calls = run(root, script, arguments=["master"])
    assert (done.returncode, calls) == (0, ["cloud-init init"])
    assert [name for name in NETWORK_FILES if not (root / name).exists()] == [lost]
    assert not known.exists()


@DELIVERS
def test_empty_files_of_others_stay(root, script):
    others = [
        root / name
        for name in (
            "etc/nginx/blocked-ips.conf",
            "etc/netplan/90-mine.yaml",
            "etc/network/interfaces.d/eth1",
            "etc/systemd/network/20-mine.network",
            "etc/NetworkManager/system-connections/mine.nmconnection",
        )
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    done, calls = run(root, script, arguments=["master"])
    assert (done.returncode, calls) == (0, [])
    assert all(path.exists() for path in others)


@pytest.mark.parametrize("role", get_args(Role))
def test_an_image_links_the_program_of_the_role(root, role):
    run(root, document.image_deliver(), arguments=[role])
    assert str((root / str(names.RUNNER_PATH)[1:]).readlink()) == names.image_runner(role).name
    # An image's unit starts by itself, before runcmd: whoever reads the console can type what it says.
    assert str((root / str(names.COMMAND_PATH)[1:]).readlink()) == f"{root}{names.RUNNER_PATH}"
    assert document.bootcmd(BAKED, role) == f"{names.IMAGE_DELIVER} {role}\n"


def test_the_programs_name_no_other_paths_than_kgen_has():
    for path in (names.DONE_PATH, names.RUNNER_PATH, names.COMMAND_PATH):
        assert str(path) in document.bootcmd(EMBEDDED, "node") + document.runcmd(EMBEDDED)


@STARTS
@pytest.mark.parametrize(
    ("is_failed", "start", "is_done", "code"), [(1, 0, True, 0), (1, 1, False, 7), (0, 1, False, 7), (1, 0, False, 7)]
)
def test_runcmd_starts_the_unit_and_returns_the_programs_code(root, cluster, is_failed, start, is_done, code):
    shipped(root, "#!/bin/sh\necho $@; exit 7\n")
    if is_done:
        (root / str(names.DONE_PATH)[1:]).touch()
    done, calls = run(root, document.runcmd(cluster), is_failed, start)
    assert (done.returncode, done.stdout) == (code, "--status\n" if code else "")
    assert calls == BEFORE_START + ["start kgen-firstboot"] * is_failed
    assert str((root / str(names.COMMAND_PATH)[1:]).readlink()) == f"{root}{names.RUNNER_PATH}"


def test_an_image_without_the_program_is_named(root):
    done, calls = run(root, document.runcmd(BAKED))
    assert (done.returncode, calls) == (2, [])
    assert done.stdout == "kgen: no first-boot program: start this machine from an image made by kgen bake\n"


@pytest.mark.parametrize("role", get_args(Role))
@pytest.mark.parametrize("code", [2, 3])
def test_the_shipped_runner_tells_runcmd_how_it_failed(root, role, code):
    text = runner_source.program(role, with_comments=False)
    (root / "shipped.py").write_text(text)
    shipped(root, f'#!/bin/sh\nexec {sys.executable} {root}/shipped.py --root {root} "$@"\n')
    script = document.runcmd(EMBEDDED)
    assert run(root, script, start=1)[0].returncode == 3, "a unit that never ran is not done"
    (root / STATUS).parent.mkdir(parents=True)
    report = {"phase": "failed", "step": "etcd", "seconds": 9, "error": "no", "hint": "do", "exit_code": code}
    (root / STATUS).write_text(json.dumps(report))
    done, _ = run(root, script, start=1)
    assert (done.returncode, done.stdout) == (code, "failed in step etcd, 9 s since the start\nno\ndo\n")
