"""The user's certificates of an external etcd: from their files into the bundle."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests import clusters
from tests.unit.secrets_bundle.conftest import NOW

from kgen.config.load import load_text
from kgen.errors import InputError, ProblemsError
from kgen.model import Cluster
from kgen.pipeline import Pipeline
from kgen.secrets_bundle import advice, inventory, selection
from kgen.secrets_bundle.adopt import adopt
from kgen.secrets_bundle.format import dump, parse
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import Populated, populate

TEXT = """\
apiVersion: kgen/v1
name: c
kubernetesVersion: v1.37.2
etcd:
  external: {endpoints: ["https://10.0.0.31:2379"], caFile: ca.crt, certFile: client.crt, keyFile: client.key}
machines: [{name: m1, role: master, address: 10.0.0.11}]
"""
FILES = ("ca.crt", "client.crt", "client.key")
BESIDE = "client.crt is not the certificate of the key beside it"
CA, CLIENT = "etcd/ca", "apiserver-etcd-client"


def etcd_of(now: datetime, validity: timedelta = timedelta(days=365)) -> Bundle:
    """Return a bundle whose etcd certificates stand for those of an etcd elsewhere."""
    return populate(None, replace(clusters.one_master(), certificate_validity=validity), now).bundle


THEIRS = etcd_of(NOW)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    put(tmp_path, THEIRS)
    return tmp_path


def put(directory: Path, theirs: Bundle, client: str = "m1/apiserver-etcd-client") -> None:
    (directory / "ca.crt").write_text(f"words before it\n{theirs.authorities[CA].certificate}")
    (directory / "client.crt").write_text(theirs.certificates[client].certificate)
    (directory / "client.key").write_text(theirs.certificates[client].key or "")


def cluster_in(directory: Path, text: str = TEXT) -> Cluster:
    return load_text(text, str(directory / "c.yaml")).cluster


def made(directory: Path, bundle: Bundle | None = None, now: datetime = NOW) -> Populated:
    return populate(bundle, cluster_in(directory), now)


def problems(directory: Path, bundle: Bundle | None = None) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        made(directory, bundle)
    assert "PRIVATE KEY" not in str(caught.value)
    assert {(each.file, each.line, each.code) for each in caught.value.problems} == {
        (str(directory / "c.yaml"), 5, "B106")
    }
    return [each.message for each in caught.value.problems]


def test_the_files_are_read_once(directory):
    first = made(directory)
    assert {CA, CLIENT} < set(first.created)
    bundle = first.bundle
    assert bundle.authorities[CA].certificate == THEIRS.authorities[CA].certificate
    assert bundle.authorities[CA].key is None
    assert bundle.certificates[CLIENT].key == THEIRS.certificates["m1/apiserver-etcd-client"].key
    assert not [name for name in bundle.certificates if "/etcd/" in name or name == "m1/apiserver-etcd-client"]
    for name in FILES:
        (directory / name).unlink()
    kept = parse(dump(bundle), "")
    again = made(directory, kept)
    assert (again.bundle, again.changed, again.reissued) == (kept, False, ())
    assert made(directory, replace(kept, verified="")).bundle == kept


def test_another_certificate_in_the_files_replaces_the_bundles(directory):
    bundle = made(directory).bundle
    put(directory, etcd_of(NOW))
    again = made(directory, bundle)
    assert again.reissued == ((CA, "its file has changed"), (CLIENT, "its file has changed"))
    assert again.changed
    assert again.bundle.certificates[CLIENT] != bundle.certificates[CLIENT]
    assert again.bundle.certificates["admin"] == bundle.certificates["admin"]


def test_masters_get_the_files_and_no_member_of_etcd(directory):
    bundle = made(directory).bundle
    payload = Pipeline(cluster_in(directory), bundle).payload(cluster_in(directory).masters[0])
    paths = {str(file.path) for file in payload.files}
    pki = "/etc/kubernetes/pki/"
    assert {pki + "etcd/ca.crt", pki + "apiserver-etcd-client.crt", pki + "apiserver-etcd-client.key"} < paths
    assert not [path for path in paths if "etcd" in path and path.endswith(("ca.key", ".yaml"))]
    assert "/var/lib/etcd" not in map(str, payload.directories)
    assert payload.parameters["etcd"]["endpoints"] == ["https://10.0.0.31:2379"]
    assert {port for _, port in payload.parameters["ports"]} == {6443, 10257, 10259, 10250}


def test_files_that_are_missing_are_named(directory):
    for name in FILES:
        (directory / name).unlink()
    suffix = "is not there, and the secrets bundle does not have its content"
    assert problems(directory) == [f"{name} {suffix}" for name in FILES]


def test_a_new_certificate_needs_its_new_key(directory):
    bundle = made(directory).bundle
    put(directory, etcd_of(NOW))
    (directory / "client.key").unlink()
    assert problems(directory, bundle) == ["client.key is not there, and the secrets bundle has another certificate"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ca.crt", "nothing\n", "ca.crt cannot be read as a certificate"),
        ("client.key", "nothing\n", "client.key cannot be read as a private key"),
        ("ca.crt", THEIRS.certificates["admin"].certificate, "ca.crt is no CA certificate"),
        (
            "client.crt",
            THEIRS.certificates["admin"].certificate,
            "client.crt is not the certificate of the key beside it",
        ),
    ],
    ids=["no certificate", "no key", "no CA", "another key"],
)
def test_a_wrong_file_is_refused(directory, name, content, message):
    (directory / name).write_text(content)
    assert problems(directory) == [message]


def test_a_certificate_for_servers_is_refused(directory):
    put(directory, THEIRS, client="m1/apiserver")
    assert problems(directory) == ["client.crt is for serverAuth only, not for a client"]


def test_an_expired_certificate_is_refused(directory):
    put(directory, etcd_of(NOW - timedelta(days=10), timedelta(days=3)))
    (message,) = problems(directory)
    assert message.startswith("client.crt expired on 2026-02-22")


def test_kgen_cannot_renew_it(directory):
    cluster, bundle = cluster_in(directory), made(directory).bundle
    assert CLIENT not in selection.leaves(cluster)
    with pytest.raises(InputError, match="comes from a file of yours") as caught:
        selection.leaves(cluster, [CLIENT])
    assert "replace the file" in caught.value.hint
    near = [each for each in advice.expiries(bundle, NOW + timedelta(days=360)) if CLIENT in each.message]
    assert [each.hint for each in near] == [advice._NEW_FILE]
    assert [info.ca for info in inventory.inventory(bundle) if info.name == CLIENT] == [CA]


def test_its_algorithm_is_nobodys_business(directory):
    cluster = replace(cluster_in(directory), encryption_algorithm="ECDSA-P384")
    warnings = list(advice.advice(made(directory).bundle, cluster, NOW, ()))
    assert [each.code for each in warnings] == ["B202"]
    assert CLIENT not in warnings[0].message.split(" keep")[0].split(", ")


def test_etcd_does_not_move(directory):
    with pytest.raises(InputError, match="etcd was on the masters in the first render and is outside of them now"):
        made(directory, populate(None, replace(cluster_in(directory), external_etcd=None), NOW).bundle)
    inside = replace(cluster_in(directory), external_etcd=None)
    with pytest.raises(InputError, match="etcd was outside of them in the first render and is on the masters now"):
        populate(made(directory).bundle, inside, NOW)


def test_without_files_there_is_no_certificate(directory):
    text = TEXT.replace(", caFile: ca.crt, certFile: client.crt, keyFile: client.key", "")
    bundle = populate(None, cluster_in(directory, text), NOW).bundle
    assert set(bundle.authorities) == {"ca", "front-proxy-ca"}
    assert CLIENT not in bundle.certificates


def test_they_are_taken_from_the_pki_directory_of_a_master(directory, tmp_path):
    pki = tmp_path / "pki"
    (pki / "etcd").mkdir(parents=True)
    ours = made(directory).bundle
    for name in ("ca", "front-proxy-ca"):
        (pki / f"{name}.crt").write_text(ours.authorities[name].certificate)
        (pki / f"{name}.key").write_text(ours.authorities[name].key or "")
    (pki / "sa.key").write_text(ours.service_account.key)
    (directory / "ca.crt").rename(pki / "etcd/ca.crt")
    (directory / "client.crt").rename(pki / f"{CLIENT}.crt")
    (directory / "client.key").rename(pki / f"{CLIENT}.key")
    adopted = populate(adopt(pki, cluster_in(directory), NOW), cluster_in(directory), NOW).bundle
    assert adopted.authorities == ours.authorities
    assert adopted.certificates[CLIENT] == ours.certificates[CLIENT]
