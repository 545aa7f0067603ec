"""Sealed payloads below a scratch root: the shipped program opens them with this machine's openssl, or says why not."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess

import pytest
from tests.unit.runner import scratch
from tests.unit.runner.scratch import PAYLOAD, PYTHONS, Baked, Scratch, python_of

from kgen.facts import names
from kgen.firstboot import payload_json, program
from kgen.pki import cms, keys
from kgen.runner import unseal
from kgen.secrets_bundle.model import SealKey
from kgen.user_data import sealing

pytestmark = pytest.mark.real

KEY = "etc/kgen/seal.key"
CREDENTIAL = "run/credentials/@system/kgen.seal-key"


def new_key() -> SealKey:
    key, sender = (keys.private_pem(keys.generate("ECDSA-P256")) for _ in range(2))
    return SealKey(key, base64.b64encode(cms.recipient(key, sender, bytes(32))).decode())


OWN, ANOTHER = new_key(), new_key()


class Sealed(Scratch):
    extras = ("unseal",)

    def install(self) -> None:
        """Install the program, with less patience: a test may wait for a key that never comes."""
        super().install()
        text = self.runner.read_text()
        assert "KEY_SECONDS = 600\n" in text
        self.runner.write_text(text.replace("KEY_SECONDS = 600\n", "KEY_SECONDS = 0.5\n"))

    def deliver(self, body) -> None:
        self.put(PAYLOAD, sealing.sealed(payload_json.text_of(body), "w1", OWN))

    def change(self, change) -> None:
        """Change the delivered document."""
        document = json.loads((self.root / PAYLOAD).read_text())
        change(document)
        self.put(PAYLOAD, json.dumps(document))

    def ended(self) -> tuple[int, str, str, str]:
        """Run the program; return its exit code, and step, error and hint of its status."""
        code, _ = self.run()
        status = self.status()
        assert status["exit_code"] == code
        return code, status["step"], status["error"], status["hint"]


@pytest.fixture
def machine(tmp_path):
    return Sealed(tmp_path, scratch.body_up_to_the_kubelet("node"))


@pytest.mark.parametrize("suite", PYTHONS)
@pytest.mark.parametrize("place", [KEY, CREDENTIAL])
def test_a_sealed_payload_is_opened_with_the_key_in_each_place(tmp_path, suite, place):
    machine = Sealed(tmp_path, scratch.body_up_to_the_kubelet("node"), python_of(suite))
    machine.put(place, OWN.key)
    code, output = machine.run()
    assert (code, machine.status()["step"]) == (3, "endpoint"), output
    assert machine.steps() == ["preflight", "files", "system"]
    assert OWN.key.splitlines()[1] not in output


def test_it_waits_for_a_missing_key_and_says_which(machine):
    for content in ("", None):
        if content is not None:
            machine.put(KEY, content)
        code, step, error, hint = machine.ended()
        assert (code, step) == (3, "unseal")
        assert error == (
            "gave up after 0.5 s waiting for the key sealed/w1.key of kgen's output: "
            f"neither /{KEY} nor /{CREDENTIAL} is there"
        )
        assert hint == "copy the key sealed/w1.key of kgen's output to /etc/kgen/seal.key, with mode 0600"


def test_another_machines_key_is_final(machine):
    machine.put(KEY, ANOTHER.key)
    code, _, error, hint = machine.ended()
    assert code == 2
    assert error.startswith(f"/{KEY} does not open this machine's payload: it is the key of another machine")
    assert "sealed/w1.key" in hint
    machine.put(CREDENTIAL, "not a key")
    assert machine.ended()[2].startswith(f"/{KEY} and /{CREDENTIAL} does not open")
    machine.put(CREDENTIAL, OWN.key)
    assert machine.ended()[:2] == (3, "endpoint")


def flip(document, place=100):
    envelope = bytearray(base64.b64decode(document["sealed"]["cms"]))
    envelope[place] ^= 1
    document["sealed"]["cms"] = base64.b64encode(envelope).decode()


CHANGES = {
    "a byte of the CMS": flip,
    "its last byte": lambda document: flip(document, -1),
    "no base64": lambda document: document["sealed"].update(cms="x"),
    "its checksum": lambda document: document["sealed"].update(sha256="0" * 64),
    "nothing sealed": lambda document: document.pop("sealed"),
    "no object": lambda document: document.update(sealed=[]),
    "the payload's checksum": lambda document: document.update(sha256="0" * 64),
    "no checksum": lambda document: document.pop("sha256"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_damaged_payload_is_final(machine, change):
    machine.put(KEY, OWN.key)
    machine.change(CHANGES[change])
    code, _, error, hint = machine.ended()
    assert (code, error.startswith("the sealed payload is ")) == (4, True), error
    assert hint == "run kgen render, then boot this machine with the new user-data"


def test_a_change_whose_checksum_is_changed_too_is_not_taken(machine):
    """openssl refuses what is not the sender's, whatever the checksums say."""
    machine.put(KEY, OWN.key)

    def change(document):
        flip(document, -20)
        document["sealed"]["sha256"] = hashlib.sha256(base64.b64decode(document["sealed"]["cms"])).hexdigest()

    machine.change(change)
    assert machine.ended()[0] == 2


def error_with(machine, tmp_path, version):
    """Return the error where the only openssl opens nothing and has this version; None: there is no openssl."""
    programs = tmp_path / "programs"
    programs.mkdir()
    if version:
        (programs / "openssl").write_text(f'#!/bin/sh\n[ "$1" = version ] && echo "{version}"\n')
        (programs / "openssl").chmod(0o755)
    machine.put(KEY, OWN.key)
    command = ["/usr/bin/env", f"PATH={programs}", *machine.command()]
    code, _ = machine.checked(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    assert code == 2
    return machine.status()["error"]


@pytest.mark.parametrize("there", [None, "OpenSSL 1.1.1w  11 Sep 2023", "OpenSSL 0.9.8zh", "LibreSSL 3.8.2", "OpenSSL"])
def test_an_image_without_openssl_3_is_told_so(machine, tmp_path, there):
    error = error_with(machine, tmp_path, there)
    assert f"OpenSSL 3 or newer, and this machine has {there or 'no openssl'}" in error


@pytest.mark.parametrize("there", ["OpenSSL 3.0.2 15 Mar 2022", "OpenSSL 4.0.0", "OpenSSL 10.1.0", "OpenSSL 30.0.0"])
def test_a_newer_openssl_is_not_blamed_for_a_wrong_key(machine, tmp_path, there):
    assert "does not open this machine's payload" in error_with(machine, tmp_path, there)


@pytest.mark.parametrize("text", ["", "{}", "[]", None])
def test_what_is_no_payload_is_said_as_without_seals(machine, text):
    if text is None:
        (machine.root / PAYLOAD).unlink()
    else:
        machine.put(PAYLOAD, text)
    code, _, error, _ = machine.ended()
    assert code == 4
    assert error in ("the payload is damaged", f"/{PAYLOAD} is missing")


def test_an_image_takes_payloads_of_both_kinds(tmp_path):
    body = scratch.body_up_to_the_kubelet("node")
    machine = Baked(tmp_path, body)
    assert machine.run()[0] == 3
    machine.put(PAYLOAD, sealing.sealed(payload_json.text_of(body), "w1", OWN))
    machine.put(KEY, OWN.key)
    assert machine.run()[0] == 3
    assert machine.status()["step"] == "endpoint"


def test_only_clusters_that_seal_bring_the_module():
    assert "unseal" not in program.program("node", with_comments=False, extras=())
    sealed = program.program("node", with_comments=False, extras=("unseal",))
    assert "ALL_STEPS = ((unseal, EVERY_RUN), *STEPS[1:3], *STEPS[3:])\n" in sealed


def test_runner_and_generator_agree_on_names():
    assert (str(names.SEAL_KEY_PATH), f"/run/credentials/@system/{names.SEAL_KEY_CREDENTIAL}") == unseal.KEYS
    assert sealing.FORMAT_SEALED == unseal.SEALED
