"""The copies of a document that the real cloud-init keeps, and what it remembers after they are cleaned."""

import base64
import contextlib
import gzip
import json
import shutil
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.components import cloudinit
from tests.installed import kgen

pytestmark = pytest.mark.real

CLUSTER = """\
apiVersion: kgen/v1
name: later
kubernetesVersion: v1.37.2
machines:
  - name: m1
    role: master
    address: 10.0.0.11
    cloudInit: {bootcmd: ["echo again >>/var/log/bootcmd"]}
"""
PICKLE = "var/lib/cloud/instances/i-m1/obj.pkl"
SEED = "var/lib/cloud/seed/nocloud"


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("cluster")
    (directory / "cluster.yaml").write_text(CLUSTER, encoding="utf-8")
    kgen("render", "cluster.yaml", directory=directory)
    return directory / "outputs/later/user-data/m1.yaml"


@pytest.fixture(scope="module", params=[1, 2], ids=["done in one boot", "done in two boots"])
def boots(request) -> int:
    """The boots until the first boot is done: a power cut ends one.

    At the second one, cloud-init has the user-data among its settings.
    """
    return request.param


@pytest.fixture(scope="module", params=cloudinit.SUITES)
def machine(request, boots, tmp_path_factory, document) -> Iterator[cloudinit.Machine]:
    """A machine whose first boot is done, before its copies are cleaned."""
    machine = cloudinit.Machine(request.param, tmp_path_factory.mktemp("machine") / "root")
    config = machine.root / "etc/cloud/cloud.cfg.d/99-test.cfg"
    # With None as the last source, cloud-init makes a new instance where it finds nothing and remembers nothing.
    config.write_text(config.read_text(encoding="utf-8").replace("[NoCloud]", "[NoCloud, None]"), encoding="utf-8")
    machine.boot(document.with_suffix(".yaml.gz").read_bytes(), instance_id="i-m1")
    if boots > 1:
        machine.reboot()
    payload = json.loads((machine.root / "etc/kgen/payload.json").read_text(encoding="utf-8"))
    (machine.root / "var/lib/kgen").mkdir()
    done = json.dumps({"payload": payload["sha256"], "hostname": socket.gethostname()})
    (machine.root / "var/lib/kgen/done").write_text(done, encoding="utf-8")
    yield machine
    shutil.rmtree(machine.root)


def needles(document: Path) -> list[bytes]:
    """Return parts of every private key, as payload, PEM and DER."""
    (text,) = (
        each["content"]
        for each in yaml.safe_load(document.read_text(encoding="utf-8"))["write_files"]
        if each["path"] == "/etc/kgen/payload.json"
    )
    found = []
    for label, *blocks in json.loads(text)["body"]["blobs"].values():
        if "PRIVATE" in label:
            key = bytes.fromhex(blocks[0])
            found += [key[30:60], key[30:60].hex().encode(), base64.b64encode(key)[40:80]]
    assert len(found) > 20
    return found


def layers(data: bytes) -> Iterator[bytes]:
    """Yield what a file holds, and what is compressed in it."""
    yield data
    start = data.find(b"\x1f\x8b\x08")
    while start >= 0:
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj(wbits=31).decompress(data[start:])
        start = data.find(b"\x1f\x8b\x08", start + 1)


def files_with_a_secret(machine: cloudinit.Machine, document: Path) -> set[str]:
    """Return every file of the machine in which a private key can be found."""
    wanted = needles(document)
    found = set()
    tops = ("etc", "root", "run", "tmp", "var")
    for path in (path for top in tops for path in (machine.root / top).rglob("*")):
        if path.is_file() and not path.is_symlink():
            for layer in layers(path.read_bytes()):
                if any(each in layer for each in wanted):
                    found.add(str(path.relative_to(machine.root)))
    return found


def later(machine: cloudinit.Machine) -> str:
    """Run the program as kgen-later does."""
    done = machine.run("python3", "-ISu", "/usr/local/lib/kgen/firstboot.py", "--kubelet-command", "true")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def instances(machine: cloudinit.Machine) -> list[str]:
    return [path.name for path in sorted((machine.root / "var/lib/cloud/instances").iterdir())]


def test_no_copy_is_left_and_the_instance_is_remembered_without_its_data_source(machine, document, boots):
    before = files_with_a_secret(machine, document)
    assert {PICKLE, f"{SEED}/user-data", "etc/kgen/payload.json"} < before
    assert later(machine) == ""
    assert files_with_a_secret(machine, document) == set()

    log = machine.reboot()  # the data source is there
    assert "restored from" in log
    assert files_with_a_secret(machine, document) == set()
    commands = machine.root / "var/log/bootcmd"
    assert commands.read_text(encoding="utf-8") == "again\n" * (boots + 1)
    config = machine.root / "var/lib/cloud/instances/i-m1/cloud-config.txt"
    assert yaml.safe_load(config.read_text(encoding="utf-8"))["hostname"] == "m1"

    # cloud-init asks its data source, or DMI, whether the instance is still the same. This setting says that it is.
    (machine.root / "etc/cloud/cloud.cfg.d/99-trust.cfg").write_text("manual_cache_clean: true\n", encoding="utf-8")
    assert later(machine) == ""
    shutil.rmtree(machine.root / SEED)
    for others in (2, 3):
        log = machine.reboot()
        assert "restored from cache" in log
        assert instances(machine) == ["i-m1"]
        assert (machine.root / "var/lib/cloud/data/instance-id").read_text(encoding="utf-8").strip() == "i-m1"
        assert commands.read_text(encoding="utf-8") == "again\n" * (boots + others)
        assert later(machine) == ""
        assert files_with_a_secret(machine, document) == set()


def test_a_memory_that_cannot_be_read_is_emptied_and_said(machine, document):
    secret = gzip.compress(document.read_bytes())
    (machine.root / PICKLE).write_bytes(b"not a pickle " + secret)
    said = later(machine)
    assert "emptied cloud-init's obj.pkl: UnpicklingError" in said
    assert files_with_a_secret(machine, document) == set()
    assert (machine.root / PICKLE).read_bytes() == b""
    assert later(machine) == ""
