"""The runner as an image has it, with the release's texts beside it."""

import hashlib

import pytest
from tests.unit.runner.scratch import PYTHONS, Baked, Scratch, body_up_to_the_kubelet, python_of

from kgen.render import image_texts
from kgen.versions import Version

OTHERS = {"master": ["etcd-guard"], "node": []}
SERVING = ("/var/lib/kubelet/pki/kubelet.crt", "/var/lib/kubelet/pki/kubelet.key")
"""What the kubelet makes itself where the runner comes in the document (test_serving.py)."""


@pytest.mark.parametrize("suite", PYTHONS)
@pytest.mark.parametrize("role", ["master", "node"])
def test_it_writes_what_the_embedded_one_writes(tmp_path, role, suite):
    told = body_up_to_the_kubelet(role)
    baked, embedded = Baked(tmp_path / "baked", told, python_of(suite)), Scratch(tmp_path / "embedded", told)
    assert baked.run()[0] == embedded.run()[0]
    assert baked.steps() == ["preflight", "files", "system", *OTHERS[role]]
    written = baked.tree()
    assert all(map(written.pop, SERVING))
    assert written == embedded.tree()


def test_an_image_of_another_bake_is_named_before_anything_is_done(tmp_path):
    machine = Baked(tmp_path, body_up_to_the_kubelet("master"))
    other = image_texts.image_texts(Version(1, 36, 3), "master")
    machine.put(machine.runner.relative_to(tmp_path), other.runner)
    machine.put(machine.runner.with_suffix(".json").relative_to(tmp_path), other.text)
    code, output = machine.run()
    assert code == 2, output
    assert "KgenImage: the image has another first-boot program than the payload, for v1.37.2" in output
    assert machine.status()["hint"].startswith("start this machine from an image of this kgen bake")
    assert machine.tree() == {}


def test_texts_that_are_gone_are_a_damaged_machine(tmp_path):
    machine = Baked(tmp_path, body_up_to_the_kubelet("master"))
    machine.runner.with_suffix(".json").unlink()
    assert machine.run()[0] == 4


def test_the_image_holds_nothing_of_any_cluster():
    for role in ("master", "node"):
        texts = image_texts.image_texts(Version(1, 37, 2), role)
        assert not {"blobs", "name", "addresses", "validity", "curve"} & texts.body.keys()
        assert hashlib.sha256(texts.runner.encode()).hexdigest() in texts.text
