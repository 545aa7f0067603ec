"""The commands of bootcmd and runcmd, run by a shell below a scratch root: what they make, call and return.

systemctl, containerd and kubelet answer here as they would on a machine; on real ones the boot tier does this.
"""

import json
import subprocess
import sys
from typing import get_args

import pytest

from kgen import names, resources
from kgen.config.model import Role
from kgen.render import delivery, runner_source

UNITS = "etc/systemd/system"
WANTED = f"{UNITS}/multi-user.target.wants"
START = ["start --no-block kgen-later kgen-head-start"]
IMAGES = "bake/tree/usr/lib/systemd/system/kgen-{}.service"
OF_ALL = {"Type=oneshot", "DefaultDependencies=no"}
OF_RUNS = {
    "Restart=on-failure",
    "RestartPreventExitStatus=2 4",
    "StartLimitIntervalSec=0",
    "StandardOutput=journal+console",
}
OF_ONE = {
    "firstboot": OF_RUNS
    | {
        "ConditionPathExists=!/var/lib/kgen/done",
        "After=basic.target cloud-config.target containerd.service network-online.target",
    },
    "later": OF_RUNS | {"ConditionPathExists=/var/lib/kgen/done", "After=basic.target cloud-final.service"},
    "head-start": {
        "ConditionPathExists=!/var/lib/kgen/done",
        "After=basic.target cloud-config.target",
        "Before=shutdown.target cloud-config.service",
        "ExecStart=-timeout 30 systemctl start kgen-firstboot",
    },
}
STATUS = "run/kgen/status.json"


@pytest.fixture
def root(tmp_path):
    for path in ("etc/systemd/system", "var/lib/cloud/instance/sem", "var/lib/kgen", "usr/local/lib/kgen", "bin"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "usr/local/sbin").mkdir()
    for name in ("containerd", "kubelet"):
        program(tmp_path, name, "")
    return tmp_path


def program(root, name, text):
    path = root / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run(root, script, is_failed=1, start=0):
    """Run a script below ``root``; return it done, and what systemctl was called with, which answers as told."""
    calls = root / "calls"
    calls.write_text("")
    program(
        root, "systemctl", f'echo "$@" >> {calls}; case $1 in is-failed) exit {is_failed};; start) exit {start};; esac'
    )
    for path in ("/etc", "/var/lib", "/usr/local"):
        script = script.replace(f" {path}/", f" {root}{path}/")
    environment = {"PATH": f"{root}/bin:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=environment)
    return done, calls.read_text().splitlines()


@pytest.mark.parametrize("name", OF_ONE)
def test_the_units_of_a_document_are_those_of_an_image(root, name):
    done, calls = run(root, delivery.bootcmd())
    assert (done.returncode, calls) == (0, START)
    text, _, _ = resources.template_text(IMAGES.format(name)).partition("\n[Install]")
    for_people = ("#", "Description=")
    expected = [line for line in text.splitlines() if line and not line.startswith(for_people)]
    runner = str(names.RUNNER_PATH)
    made = (root / f"{UNITS}/kgen-{name}.service").read_text().replace(f" {root}{runner}", f" {runner}").splitlines()
    assert made == expected
    assert set(made) >= OF_ALL | OF_ONE[name]


@pytest.mark.parametrize("name", ["firstboot", "later"])
def test_later_boots_begin_what_was_not_done_by_themselves(root, name):
    run(root, delivery.bootcmd())
    link = root / f"{WANTED}/kgen-{name}.service"
    assert link.is_symlink()
    assert link.resolve() == root / f"{UNITS}/kgen-{name}.service"


def test_the_image_wants_its_units_at_every_boot():
    for name in OF_ONE:
        assert resources.template_text(IMAGES.format(name)).endswith("[Install]\nWantedBy=multi-user.target\n")


def test_the_runner_is_a_command(root):
    run(root, delivery.bootcmd())
    assert str((root / str(names.COMMAND_PATH)[1:]).readlink()) == f"{root}{names.RUNNER_PATH}"


def test_a_later_boot_delivers_again_and_leaves_the_units(root):
    run(root, delivery.bootcmd())
    unit = root / f"{UNITS}/kgen-firstboot.service"
    unit.write_text("as it was\n")
    semaphore = root / "var/lib/cloud/instance/sem/config_write_files"
    semaphore.touch()
    done, calls = run(root, delivery.bootcmd())
    assert (done.returncode, calls) == (0, START)
    assert unit.read_text() == "as it was\n"
    assert not semaphore.exists()


def test_units_whose_links_a_power_cut_has_taken_are_made_anew(root):
    run(root, delivery.bootcmd())
    for name in ("firstboot", "later"):
        (root / f"{WANTED}/kgen-{name}.service").unlink()
        (root / f"{UNITS}/kgen-{name}.service").write_text("")
    run(root, delivery.bootcmd())
    for name in ("firstboot", "later"):
        assert (root / f"{WANTED}/kgen-{name}.service").read_text().startswith("[Unit]\n")


def test_an_images_own_units_stay(root):
    (root / WANTED).mkdir()
    own = root / "image.service"
    own.touch()
    (root / f"{WANTED}/kgen-firstboot.service").symlink_to(own)
    assert run(root, delivery.bootcmd())[1] == START
    assert [path.name for path in (root / UNITS).iterdir()] == ["multi-user.target.wants"]


@pytest.mark.parametrize("name", ["containerd", "kubelet"])
def test_where_a_program_comes_later_runcmd_starts_the_unit(root, name):
    (root / "bin" / name).unlink()
    done, calls = run(root, delivery.bootcmd())
    assert (done.returncode, calls) == (0, ["start --no-block kgen-later"])
    assert (root / f"{WANTED}/kgen-firstboot.service").exists()


@pytest.mark.parametrize("script", [delivery.bootcmd(), delivery.image_delivery()])
def test_a_machine_that_is_done_is_left_alone(root, script):
    (root / str(names.DONE_PATH)[1:]).touch()
    semaphore = root / "var/lib/cloud/instance/sem/config_write_files"
    semaphore.touch()
    done, calls = run(root, script)
    assert (done.returncode, calls) == (0, [])
    assert semaphore.exists()
    assert not list((root / UNITS).iterdir())


WAITING = pytest.mark.parametrize("script", [delivery.runcmd(), delivery.image_launch()])


@WAITING
@pytest.mark.parametrize(
    ("is_failed", "start", "is_done", "code"), [(1, 0, True, 0), (1, 1, False, 7), (0, 1, False, 7), (1, 0, False, 7)]
)
def test_runcmd_waits_and_returns_the_runners_code(root, script, is_failed, start, is_done, code):
    runner = root / str(names.RUNNER_PATH)[1:]
    runner.write_text("#!/bin/sh\necho $@; exit 7\n")
    runner.chmod(0o755)
    if is_done:
        (root / str(names.DONE_PATH)[1:]).touch()
    done, calls = run(root, script, is_failed, start)
    assert (done.returncode, done.stdout) == (code, "--status\n" if code else "")
    asked, *started = calls
    assert asked == "is-failed -q kgen-firstboot"
    assert started == ["start kgen-firstboot"] * is_failed


@WAITING
@pytest.mark.parametrize("role", get_args(Role))
@pytest.mark.parametrize("code", [2, 3])
def test_the_shipped_runner_tells_runcmd_how_it_failed(root, script, role, code):
    runner = root / str(names.RUNNER_PATH)[1:]
    shipped = runner.with_name("shipped.py")
    shipped.write_text(runner_source.assemble(role))
    runner.write_text(f'#!/bin/sh\nexec {sys.executable} {shipped} --root {root} "$@"\n')
    runner.chmod(0o755)
    assert run(root, script, start=1)[0].returncode == 3, "a unit that never ran is not done"
    (root / STATUS).parent.mkdir(parents=True)
    report = {"phase": "failed", "step": "etcd", "seconds": 9, "error": "no", "hint": "do", "exit_code": code}
    (root / STATUS).write_text(json.dumps(report))
    done, _ = run(root, script, start=1)
    assert (done.returncode, done.stdout) == (code, "failed in step etcd, 9 s since the start\nno\ndo\n")
