"""The PKI directory of a cluster that kubeadm made → a secrets bundle."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests import clusters

from kgen.errors import ProblemsError
from kgen.secrets_bundle.adopt import adopt
from kgen.secrets_bundle.format import dump, parse
from kgen.secrets_bundle.populate import populate

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLUSTER = clusters.one_master()
BUNDLE = populate(None, CLUSTER, NOW).bundle


@pytest.fixture
def pki(tmp_path) -> Path:
    """What kubeadm leaves in /etc/kubernetes/pki, as far as it matters here."""
    (tmp_path / "etcd").mkdir()
    for name, entry in BUNDLE.authorities.items():
        (tmp_path / f"{name}.crt").write_text(f"some words before it\n{entry.certificate}")
        (tmp_path / f"{name}.key").write_text(entry.key or "")
    (tmp_path / "sa.key").write_text(BUNDLE.service_account.key)
    return tmp_path


def problems(directory: Path) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        adopt(directory, CLUSTER, NOW)
    assert "PRIVATE KEY" not in str(caught.value)
    return [f"{Path(each.file).relative_to(directory)}: {each.message}" for each in caught.value.problems]


def test_the_cas_and_the_service_accounts_key_are_kept_and_the_rest_is_issued(pki):
    adopted = adopt(pki, CLUSTER, NOW)
    assert adopted.authorities == BUNDLE.authorities
    assert adopted.service_account == BUNDLE.service_account
    assert adopted.seen_running == NOW
    populated = populate(adopted, CLUSTER, NOW).bundle
    assert populated.authorities == BUNDLE.authorities
    assert populated.certificates.keys() == BUNDLE.certificates.keys()
    assert parse(dump(populated), "a file") == populated


def test_every_missing_file_is_named(pki):
    (pki / "etcd/ca.key").unlink()
    (pki / "sa.key").unlink()
    (pki / "front-proxy-ca.crt").unlink()
    assert problems(pki) == [
        "etcd/ca.key: cannot be read: no such file or directory",
        "front-proxy-ca.crt: cannot be read: no such file or directory",
        "sa.key: cannot be read: no such file or directory",
    ]


def test_a_key_of_another_certificate_is_refused(pki):
    (pki / "etcd/ca.key").write_text((pki / "ca.key").read_text())
    assert problems(pki) == ["etcd/ca.key: is not the key of ca.crt"]


def test_a_leaf_in_the_place_of_a_ca_is_refused(pki):
    leaf = BUNDLE.certificates["m1/apiserver"]
    (pki / "ca.crt").write_text(leaf.certificate)
    (pki / "ca.key").write_text(leaf.key or "")
    assert problems(pki) == ["ca.crt: is no CA certificate"]


def test_what_is_no_key_or_certificate_is_refused_without_a_word_of_it(pki):
    (pki / "sa.key").write_text("nonsense")
    (pki / "ca.crt").write_bytes(b"\xff")
    assert problems(pki) == ["ca.crt: cannot be read: not PEM text", "sa.key: cannot be read as a private key"]
