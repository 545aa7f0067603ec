"""The runner as an image has it, with the release's texts beside it."""

import hashlib
import sys

import pytest
from tests.components import debian
from tests.unit.runner import scratch
from tests.unit.runner.scratch import Baked, Scratch

from kgen.render import image_texts
from kgen.versions import Version

OTHERS = {"master": ["etcd-guard", "write-etcd"], "node": []}
SERVING = ("/var/lib/kubelet/pki/kubelet.crt", "/var/lib/kubelet/pki/kubelet.key")
"""What the kubelet makes itself where the runner comes in the document (test_serving.py)."""
NODE = {"server": "https://127.0.0.1:1", "waitFactor": 0.001}


def body(role):
    return scratch.body_for_this_host(scratch.default_payloads()[role], **(NODE if role == "node" else {}))


@pytest.mark.parametrize(
    "suite", [None, pytest.param("bullseye", marks=pytest.mark.real), pytest.param("forky", marks=pytest.mark.real)]
)
@pytest.mark.parametrize("role", ["master", "node"])
def test_it_writes_what_the_embedded_one_writes(tmp_path, role, suite):
    python = [debian.python(suite), "-I", "-W", "error"] if suite else [sys.executable, "-I", "-S", "-W", "error"]
    baked, embedded = Baked(tmp_path / "baked", body(role), python), Scratch(tmp_path / "embedded", body(role))
    assert baked.run()[0] == embedded.run()[0]
    assert baked.steps() == ["preflight", "system", "files", *OTHERS[role]]
    written = baked.tree()
    assert all(map(written.pop, SERVING))
    assert written == embedded.tree()


def test_an_image_of_another_bake_is_named_before_anything_is_done(tmp_path):
    machine = Baked(tmp_path, body("master"))
    other = image_texts.image_texts(Version(1, 36, 3), "master")
    machine.put(machine.runner.relative_to(tmp_path), other.runner)
    machine.put(machine.runner.with_suffix(".json").relative_to(tmp_path), other.text)
    code, output = machine.run()
    assert code == 2, output
    assert "KgenImage: the image has another first-boot program than the payload, for v1.37.2" in output
    assert machine.status()["hint"].startswith("start this machine from an image of this kgen bake")
    assert machine.tree() == {}


def test_texts_that_are_gone_are_a_damaged_machine(tmp_path):
    machine = Baked(tmp_path, body("master"))
    machine.runner.with_suffix(".json").unlink()
    assert machine.run()[0] == 4


def test_the_image_holds_nothing_of_any_cluster():
    for role in ("master", "node"):
        texts = image_texts.image_texts(Version(1, 37, 2), role)
        assert not {"blobs", "name", "addresses", "validity", "curve"} & texts.body.keys()
        assert hashlib.sha256(texts.runner.encode()).hexdigest() in texts.text
