"""Sealed documents on three Debians: the real cloud-init delivers them, the stock openssl opens them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests import pages
from tests.components import cloudinit

pytestmark = pytest.mark.real

CLUSTER = """\
apiVersion: kgen/v1
name: seals
kubernetesVersion: v1.37.2
userData: {secrets: sealed}
machines:
  - {name: m1, role: master, address: 10.0.0.11}
pools:
  - {name: workers, role: node}
"""
PATIENCE = "KEY_SECONDS = 600\n"
FIRST_BOOT = ("python3", "-ISu", "/usr/local/lib/kgen/firstboot.py", "--kubelet-command", "true")


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("cluster")
    (directory / "cluster.yaml").write_text(CLUSTER, encoding="utf-8")
    kgen = Path(sys.executable).with_name("kgen")
    done = subprocess.run([kgen, "render", "cluster.yaml"], cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return directory / "outputs/seals"


@pytest.fixture(scope="module", params=cloudinit.SUITES)
def machine(request, tmp_path_factory) -> Iterator[cloudinit.Machine]:
    machine = cloudinit.Machine(request.param, tmp_path_factory.mktemp("machine") / "root")
    yield machine
    shutil.rmtree(machine.root)


def boot(machine, output, name, instance, user_data=None):
    """Boot with a machine's document, up to its program, which waits for a second instead of ten minutes."""
    document = (output / f"user-data/{name}.yaml.gz").read_bytes() if user_data is None else user_data
    log = machine.boot(document, instance_id=f"i-{name}-{instance}")
    assert not [line for line in log.splitlines() if "[WARNING]" in line or "[ERROR]" in line]
    for path in ("etc/kgen/seal.key", "run/kgen/status.json"):
        (machine.root / path).unlink(missing_ok=True)
    program = machine.root / "usr/local/lib/kgen/firstboot.py"
    text = program.read_text(encoding="utf-8")
    assert PATIENCE in text
    program.write_text(text.replace(PATIENCE, "KEY_SECONDS = 1\n"), encoding="utf-8")


def put_key(machine, output, name):
    shutil.copy(output / f"sealed/{name}.key", machine.root / "etc/kgen/seal.key")
    assert (machine.root / "etc/kgen/seal.key").stat().st_mode & 0o777 == 0o600


def first_boot(machine):
    """Run the program as its unit does; return its exit code, and step and error of its status."""
    done = machine.run(*FIRST_BOOT)
    status = json.loads((machine.root / "run/kgen/status.json").read_text(encoding="utf-8"))
    assert done.returncode == status["exit_code"], done.stdout + done.stderr
    return done.returncode, status["step"], status["error"]


@pytest.mark.parametrize("name", ["m1", "workers"])
def test_a_sealed_document_is_valid_for_cloud_init(machine, output, name):
    done = machine.schema((output / f"user-data/{name}.yaml").read_bytes())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["m1", "workers"])
def test_the_first_boot_waits_for_the_key_and_opens_the_payload_with_it(machine, output, name):
    boot(machine, output, name, "opens")
    code, step, error = first_boot(machine)
    assert (code, step) == (3, "unseal")
    assert f"waiting for the key sealed/{name}.key of kgen's output: neither /etc/kgen/seal.key nor" in error
    put_key(machine, output, name)
    code, step, error = first_boot(machine)
    # The payload is open, and its certificates are valid. Preflight refuses this machine, which has no kubelet.
    assert (code, step) == (2, "preflight"), error


def test_a_person_opens_it_with_the_commands_of_the_page(machine, output):
    boot(machine, output, "m1", "by-hand")
    put_key(machine, output, "m1")
    (block,) = (it for it in pages.blocks(pages.page("sealed-user-data.md")) if "openssl cms" in it.text)
    done = machine.run("sh", "-c", block.text)
    body = json.loads(done.stdout)["body"]
    assert (body["name"], "ca.key" in body["blobs"]) == ("m1", True)


def test_another_machines_key_opens_nothing(machine, output):
    boot(machine, output, "m1", "wrong")
    put_key(machine, output, "workers")
    code, step, error = first_boot(machine)
    assert (code, step) == (2, "unseal")
    assert error.startswith("/etc/kgen/seal.key does not open this machine's payload: it is the key of another machine")


def test_a_flipped_byte_is_damage(machine, output):
    document = yaml.safe_load((output / "user-data/m1.yaml").read_text(encoding="utf-8"))
    (entry,) = (it for it in document["write_files"] if it["path"] == "/etc/kgen/payload.json")
    sealed = json.loads(entry["content"])["sealed"]["cms"]
    middle = len(sealed) // 2
    flipped = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    text = (output / "user-data/m1.yaml").read_text(encoding="utf-8").replace(sealed, flipped)
    boot(machine, output, "m1", "flipped", text.encode())
    put_key(machine, output, "m1")
    assert first_boot(machine) == (4, "unseal", "the sealed payload is damaged")


def test_the_key_is_in_no_argument(machine, output):
    """openssl's arguments are recorded by a program in its place, which then is openssl."""
    boot(machine, output, "workers", "arguments")
    put_key(machine, output, "workers")
    recorder = machine.root / "usr/sbin/openssl"
    recorder.write_text('#!/bin/sh\necho "$@" >>/var/log/openssl\nenv >>/var/log/openssl\nexec /usr/bin/openssl "$@"\n')
    recorder.chmod(0o755)
    assert first_boot(machine)[1] == "preflight"
    recorder.unlink()
    said = (machine.root / "var/log/openssl").read_text(encoding="utf-8")
    assert said.startswith("cms -decrypt -binary -inform DER -inkey /etc/kgen/seal.key\n")
    assert not [line for line in (output / "sealed/workers.key").read_text().splitlines() if line in said]


def test_the_credential_of_systemd_is_a_key_too(machine, output):
    boot(machine, output, "workers", "credential")
    credential = machine.root / "run/credentials/@system/kgen.seal-key"
    credential.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(output / "sealed/workers.key", credential)
    assert first_boot(machine)[1] == "preflight"
    credential.unlink()
