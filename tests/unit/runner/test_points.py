"""Public keys that are computed on the machine are the ones that were left out, for every key."""

import copy
import json
import random
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import clusters
from tests.unit.runner import scratch

from kgen.render import payload_json, points
from kgen.runner import points as runner

# Orders of the groups, FIPS 186-4, D.1.2.3 and D.1.2.4: a private key is from 1 to one less.
CURVES = {
    ec.SECP256R1: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    ec.SECP384R1: int(
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16
    ),
}


def blobs_of(curve, *numbers) -> dict[str, list[str]]:
    """Return a key and its public half for each of the private numbers."""
    blobs = {}
    for number in numbers:
        key = ec.derive_private_key(number, curve())
        private = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        blobs[f"{number:x}.key"] = ["EC PRIVATE KEY", private.hex()]
        blobs[f"{number:x}.pub"] = ["PUBLIC KEY", public.hex(), public.hex()]
    return blobs


def restored(blobs):
    """Return what travels of the blobs, and what the runner makes of that."""
    curve = points.curve_of(blobs)
    sent = points.left_out(blobs)
    body = {"blobs": copy.deepcopy(dict(sent))} | ({"curve": [curve.prime, *curve.base]} if curve else {})
    runner.points(body)
    return sent, body["blobs"]


@pytest.mark.parametrize("curve", CURVES)
def test_keys_at_the_edges_and_many_others(curve):
    order = CURVES[curve]
    numbers = {1, 2, 3, order - 1, order - 2, order // 2, order // 2 + 1}
    numbers |= {1 << bit for bit in range(order.bit_length() - 1)} if curve is ec.SECP256R1 else {1 << 383}
    numbers |= {random.Random(seed).randrange(1, order) for seed in range(100)}
    blobs = blobs_of(curve, *numbers)
    sent, found = restored(blobs)
    assert found == blobs
    assert all(block.endswith("04-") for _, *blocks in sent.values() for block in blocks)


@settings(deadline=None)  # other work on the machine is no failure
@given(st.integers(1, CURVES[ec.SECP256R1] - 1))
def test_any_key(number):
    blobs = blobs_of(ec.SECP256R1, number)
    assert restored(blobs)[1] == blobs


@pytest.mark.parametrize("algorithm", ["ECDSA-P256", "ECDSA-P384", "RSA-2048"])
def test_a_master_s_whole_key_material(algorithm):
    payload = scratch.payloads(replace(clusters.one_master(), encryption_algorithm=algorithm))["m1"]
    blobs = payload_json.body(payload)["blobs"]
    sent, found = restored(blobs)
    assert found == blobs
    # 14 keys with as many certificates or public keys, but for the etcd and front-proxy CAs, whose keys do not travel.
    marks = sum(block.count(points.MARK) for _, *blocks in sent.values() for block in blocks)
    assert marks == (0 if algorithm == "RSA-2048" else 28)


def test_keys_on_another_curve_or_in_another_encoding_travel_whole():
    few, many = blobs_of(ec.SECP384R1, 5), blobs_of(ec.SECP256R1, 6, 7)
    key = ec.derive_private_key(8, ec.SECP256R1())
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    blobs = {**few, **many, "8.key": ["PRIVATE KEY", pkcs8.hex()], "9.crt": ["CERTIFICATE", "30820102"]}
    sent, found = restored(blobs)
    assert found == blobs
    assert {name for name in blobs if sent[name] != blobs[name]} == set(many)


def test_a_public_key_that_is_not_the_key_s_own_travels_whole():
    blobs = blobs_of(ec.SECP256R1, 6) | {"6.pub": blobs_of(ec.SECP256R1, 7)["7.pub"]}
    sent, found = restored(blobs)
    assert found == blobs
    assert sent["6.pub"] == blobs["6.pub"]


def test_a_node_has_no_keys():
    body = payload_json.body(scratch.default_payloads()["node"])
    assert "curve" not in body
    assert points.left_out(body["blobs"]) == body["blobs"]


@pytest.fixture
def machine(tmp_path):
    payload = scratch.default_payloads()["master"]
    return scratch.Scratch(tmp_path, scratch.body_for_this_host(payload))


def test_what_the_shipped_runner_writes_is_whole(machine):
    assert points.MARK in json.loads((machine.root / scratch.PAYLOAD).read_text())["body"]["blobs"]["sa.key"][1]
    machine.run()
    payload = scratch.default_payloads()["master"]
    tree = machine.tree()
    for name, blob in payload.blobs.items():
        path = f"/etc/kubernetes/pki/{name}"
        if path in tree:
            assert tree[path][1].decode() == blob.pem


def test_the_checksum_shows_any_error_of_the_arithmetic(machine, monkeypatch):
    document = json.loads((machine.root / scratch.PAYLOAD).read_text())
    wrong = copy.deepcopy(document["body"])
    runner.points(document["body"])
    assert payload_json.checksum(document["body"]) == document["sha256"]
    right = runner.multiple
    monkeypatch.setattr(runner, "multiple", lambda *words: (right(*words)[0], 1))
    runner.points(wrong)
    assert payload_json.checksum(wrong) != document["sha256"]


def test_a_flipped_digit_of_a_private_key_is_noticed(machine):
    path = machine.root / scratch.PAYLOAD
    key = machine.body["blobs"]["sa.key"][1]
    flipped = key[:40] + ("1" if key[40] == "0" else "0") + key[41:]
    path.write_text(path.read_text().replace(key[:78], flipped[:78]))
    assert machine.run()[0] == 4
    assert machine.tree() == {}
