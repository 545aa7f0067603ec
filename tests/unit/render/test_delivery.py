"""The commands of bootcmd and runcmd, run by a shell below a scratch root: what they make, call and return.

systemctl, containerd and kubelet answer here as they would on a machine; on real ones the boot tier does this.
"""

import subprocess

import pytest

from kgen import names, resources
from kgen.render import delivery

UNITS = "etc/systemd/system"
WANTED = f"{UNITS}/multi-user.target.wants"
START = ["start --no-block kgen-firstboot"]
IMAGES = "bake/tree/usr/lib/systemd/system/kgen-{}.service"
LAUNCH = "bake/tree/usr/local/lib/kgen/launch"


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


@pytest.mark.parametrize("name", ["firstboot", "later"])
def test_the_units_of_a_document_are_those_of_an_image(root, name):
    done, calls = run(root, delivery.bootcmd())
    assert (done.returncode, calls) == (0, START)
    text, _, _ = resources.template_text(IMAGES.format(name)).partition("\n[Install]")
    for_people = ("#", "Description=")
    expected = [line for line in text.splitlines() if line and not line.startswith(for_people)]
    runner = str(names.RUNNER_PATH)
    made = (root / f"{UNITS}/kgen-{name}.service").read_text().replace(f" {root}{runner}", f" {runner}")
    assert made.splitlines() == expected
    link = root / f"{WANTED}/kgen-{name}.service"
    assert link.is_symlink()
    assert link.resolve() == root / f"{UNITS}/kgen-{name}.service"


def test_the_image_wants_both_units_at_every_boot():
    for name in ("firstboot", "later"):
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
    assert (done.returncode, calls) == (0, [])
    assert (root / f"{WANTED}/kgen-firstboot.service").exists()


@pytest.mark.parametrize("script", [delivery.bootcmd(), delivery.image_script()])
def test_a_machine_that_is_done_is_left_alone(root, script):
    (root / str(names.DONE_PATH)[1:]).touch()
    semaphore = root / "var/lib/cloud/instance/sem/config_write_files"
    semaphore.touch()
    done, calls = run(root, script)
    assert (done.returncode, calls) == (0, [])
    assert semaphore.exists()
    assert not list((root / UNITS).iterdir())


@pytest.mark.parametrize("script", [delivery.runcmd(), resources.template_text(LAUNCH)])
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
    assert asked.startswith("is-failed ")
    assert started == ["start kgen-firstboot"] * is_failed
