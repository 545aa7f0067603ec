"""The kubelet's serving certificate, as images make it: one that every TLS library takes, and only where it is used."""

import contextlib
import json
import os
import ssl
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.runner.scratch import PYTHONS, STATE, Baked, body_up_to_the_kubelet, python_of

from kgen.runner import curve, serving

CERTIFICATE, KEY = (f"var/lib/kubelet/pki/kubelet.{end}" for end in ("crt", "key"))


def decoded(name, now=1_000_000_000.0):
    """Return the certificate and key that are made at a time, as cryptography reads them: DER to the letter."""
    certificate, key = map(bytes.fromhex, serving.signed(name, now))
    return x509.load_der_x509_certificate(certificate), load_der_private_key(key, None)


@pytest.mark.parametrize("name", ["w", "w1", "007.prod--1.example.org", "x" * 63, ".".join(["y" * 62] * 4)])
def test_it_says_what_the_kubelets_own_would_say(name):
    certificate, key = decoded(name)
    assert certificate.issuer == certificate.subject
    assert [(part.oid, part.value) for part in certificate.subject] == [(NameOID.COMMON_NAME, name[:64])]
    begin = datetime.fromtimestamp(1_000_000_000, UTC) - timedelta(hours=1)
    assert certificate.not_valid_before_utc == begin
    assert certificate.not_valid_after_utc == begin + timedelta(days=365, hours=1)
    (names, usages) = (
        certificate.extensions.get_extension_for_class(kind).value
        for kind in (x509.SubjectAlternativeName, x509.ExtendedKeyUsage)
    )
    assert names.get_values_for_type(x509.DNSName) == [name]
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert isinstance(key.curve, ec.SECP256R1)


@settings(deadline=None, max_examples=200)
@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789.-", min_size=1, max_size=253))
def test_its_key_and_signature_are_its_own(name):
    certificate, key = decoded(name)
    assert certificate.public_key().public_numbers() == key.public_key().public_numbers()
    certificate.verify_directly_issued_by(certificate)
    assert 0 < certificate.serial_number < 2**159


@pytest.mark.parametrize("number", [1, 2, 3, 2**128 + 1, serving.ORDER - 1])
def test_a_product_is_the_public_key(number):
    numbers = ec.derive_private_key(number, ec.SECP256R1()).public_key().public_numbers()
    assert curve.multiple(number, serving.PRIME, curve.doubles(serving.PRIME, *serving.BASE)) == (numbers.x, numbers.y)


@pytest.mark.parametrize("drawn", [b"\0" * 40, b"\xff" * 40])
def test_a_secret_is_never_outside_of_the_group(monkeypatch, drawn):
    monkeypatch.setattr(os, "urandom", lambda size: drawn[:size])
    assert 1 <= serving.secret() < serving.ORDER


@pytest.mark.parametrize("suite", PYTHONS)
@pytest.mark.parametrize("role", ["master", "node"])
def test_a_server_takes_both_and_a_client_that_trusts_it_connects(tmp_path, role, suite):
    machine = Baked(tmp_path, body_up_to_the_kubelet(role), python_of(suite))
    machine.run()
    assert oct((tmp_path / KEY).stat().st_mode)[-3:] == "600"
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / CERTIFICATE, tmp_path / KEY)
    client = ssl.create_default_context(cafile=tmp_path / CERTIFICATE)
    sent, received = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(received, sent, server_hostname=machine.body["name"])
    theirs = server.wrap_bio(sent, received, server_side=True)
    for side in (ours, theirs, ours):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    theirs.do_handshake()
    assert ours.getpeercert()["subjectAltName"] == (("DNS", machine.body["name"]),)
    certificate = x509.load_pem_x509_certificate((tmp_path / CERTIFICATE).read_bytes())
    assert abs(certificate.not_valid_before_utc.timestamp() + 3600 - time.time()) < 600


@pytest.mark.parametrize("configured", ["serverTLSBootstrap: true", "tlsCertFile: /etc/kubernetes/kubelet.crt"])
def test_a_kubelet_that_is_told_to_take_another_gets_none(tmp_path, configured):
    machine = Baked(tmp_path, with_configuration(body_up_to_the_kubelet("master"), configured))
    machine.run()
    assert not (tmp_path / CERTIFICATE).exists()


def test_it_is_made_once(tmp_path):
    machine = Baked(tmp_path, body_up_to_the_kubelet("master"))
    machine.run()
    first = (tmp_path / CERTIFICATE).read_bytes()
    forget(machine, "files")
    machine.run()
    assert (tmp_path / CERTIFICATE).read_bytes() == first


def test_a_key_that_a_power_cut_left_alone_is_made_again(tmp_path):
    machine = Baked(tmp_path, body_up_to_the_kubelet("master"))
    machine.run()
    (tmp_path / CERTIFICATE).unlink()
    forget(machine, "files")
    machine.run()
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / CERTIFICATE, tmp_path / KEY)


def with_configuration(told, line):
    """Return the body with a line more in the kubelet's configuration."""
    for number, (path, _mode, _stage, content) in enumerate(told["files"]):
        if path == "/var/lib/kubelet/config.yaml":
            told["files"][number][-1] = f"{content}{line}\n"
    return told


def forget(machine, step):
    """Take a step from the state on disk, as if the power had been cut in it."""
    state = json.loads((machine.root / STATE).read_text())
    for steps in state.values():
        steps.pop(step)
    (machine.root / STATE).write_text(json.dumps(state))
