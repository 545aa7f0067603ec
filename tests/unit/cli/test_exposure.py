"""``kgen exposure`` says where secrets lie; a search of every byte of the output finds them there, and nowhere else."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from tests.secret_search import layers, search

from kgen.secrets_bundle import store

HASH = "$6$saltsaltsaltsalt$" + "x" * 86
PROXY = "http://u:p$\\y&a@proxy.example.com:3128"
CLUSTER = """\
apiVersion: kgen/v1
name: prod
kubernetesVersion: v1.37.2
controlPlaneEndpoint: api.example.com:6443
machines:
  - {name: m1, role: master, address: 10.0.0.11}
  - {name: m2, role: master, address: 10.0.0.12}
  - {name: m3, role: master, address: 10.0.0.13}
  - {name: w1, role: node, address: 10.0.0.21}
pools: [{name: workers, role: node}, {name: gpu, role: node, bootstrapToken: {ttl: 1h}}]
bootstrapTokens: [{ttl: 24h}, {ttl: 1h}]
"""
MORE = f"""\
users:
  - default
  - {{name: ops, plain_text_passwd: test-only-password, lock_passwd: false}}
  - {{name: dev, hashed_passwd: "{HASH}", lock_passwd: false}}
httpProxy: {{httpProxy: '{PROXY}', noProxy: "10.0.0.0/8,api.example.com,.cluster.local,10.96.0.0/12"}}
apiServer: {{encryption: {{provider: secretbox}}}}
"""
CASES = {
    "everything": MORE,
    "few keys on masters": "pki: {shipCAKeys: cluster, keepSuperAdmin: false}\n",
    "plain text": "provider: digitalocean\n",
    "runner in the image": "image: {runner: baked}\n",
    "sealed": MORE + "userData: {secrets: sealed}\n",
    "sealed as plain text": "provider: digitalocean\nuserData: {secrets: sealed}\n",
    "kubelets' certificates": "pki: {kubeletServingCertificates: true}\nkubelet: {serverTLSBootstrap: true}\n",
}


def given_in_the_file() -> dict[str, list[bytes]]:
    """Return by name the forms of the secrets of ``MORE`` that are not in the bundle."""
    escaped = [PROXY, json.dumps(PROXY)[1:-1], PROXY.replace("\\", "\\\\").replace("$", "\\$")]
    return {
        "password hash of dev": [HASH.encode()],
        "password of ops": [b"test-only-password"],
        "password in httpProxy": [text.encode() for text in (*escaped, json.dumps(escaped[2])[1:-1])],
    }


@pytest.mark.parametrize("case", CASES)
def test_the_report_is_what_a_search_finds(kgen, here, case):
    text = CLUSTER.replace("kubernetesVersion: v1.37.2\n", "") if "kubernetesVersion" in CASES[case] else CLUSTER
    (here / "prod.yaml").write_text(text + CASES[case])
    for words in (("render",), ("seed", "--pool", "workers", "--name", "w7")):
        ended = kgen(*words, "prod.yaml")
        assert ended.code == 0, ended.err
    root = here / "outputs/prod"
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    files |= {name: (here / name).read_bytes() for name in ("prod.yaml", "prod.secrets.yaml")}
    report = json.loads(kgen("exposure", "prod.yaml", "--json").out)
    listed = {
        (secret["name"], place["path"])
        for secret in report["secrets"]
        for place in secret["places"]
        if place["kind"] != "machines"
    }
    found = search(files, store.read(here / "prod.secrets.yaml"), given_in_the_file())
    assert len(found) > 90
    assert found == listed


@pytest.mark.parametrize("more", ["", "userData: {secrets: byReference}\n"])
def test_every_plain_document_of_many_is_in_the_report(kgen, here, more):
    nodes = "".join(f"  - {{name: n{i}, role: node, address: 10.0.1.{i}}}\n" for i in range(1, 102))
    text = CLUSTER.replace("pools:", f"{nodes}pools:").replace("api.example", "api.prod.example")
    (here / "prod.yaml").write_text(text + "provider: digitalocean\n" + more)
    ended = kgen("render", "prod.yaml")
    assert ended.code == 0, ended.err
    root = here / "outputs/prod"
    on_disk = {str(path.relative_to(root)) for name in ("user-data", "documents") for path in (root / name).glob("*")}
    report = json.loads(kgen("exposure", "prod.yaml", "--json").out)
    places = {place["path"] for each in report["secrets"] for place in each["places"]}
    assert on_disk == {path for path in places if path.startswith(("user-data/", "documents/"))}
    assert ("user-data/n101.yaml" in on_disk) == (not more)


def test_the_key_of_a_requested_certificate_is_in_the_report(kgen, rendered, here):
    path = here / "prod.secrets.yaml"
    bundle = yaml.safe_load(path.read_text())
    del bundle["authorities"]["ca"]["key"], bundle["checksums"]
    path.write_text(yaml.safe_dump(bundle))
    assert kgen("certs", "csr", "prod.yaml", "requests", "m1/apiserver").code == 0
    report = json.loads(kgen("exposure", "prod.yaml", "--json").out)
    (found,) = [secret for secret in report["secrets"] if secret["name"] == "requested m1/apiserver.key"]
    assert (found["kind"], found["reach"]) == ("requested apiserver.key", "machine")
    assert search({"bundle": path.read_bytes()}, store.read(path)) >= {("requested m1/apiserver.key", "bundle")}
    assert [place["kind"] for place in found["places"]] == ["bundle"]


@pytest.mark.parametrize(("version", "group"), [("v1.34.7", True), ("v1.34.8", False)])
def test_what_a_key_is_good_for_is_what_its_certificate_says(kgen, here, version, group):
    (here / "prod.yaml").write_text(CLUSTER.replace("v1.37.2", version))
    assert kgen("render", "prod.yaml").code == 0
    secrets = json.loads(kgen("exposure", "prod.yaml", "--json").out)["secrets"]
    powers = {secret["name"].removesuffix(".key"): secret["power"] for secret in secrets}
    bundle = store.read(here / "prod.secrets.yaml")
    for name, entry in bundle.certificates.items():
        leaf = x509.load_pem_x509_certificate(entry.certificate.encode())
        groups = [each.value for each in leaf.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)]
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        is_admin = bool({"system:masters", "kubeadm:cluster-admins"} & {*groups})
        assert ("be administrator" in powers[name]) == is_admin, name
        if leaf.issuer.rfc4514_string() == "CN=etcd-ca" and x509.ExtendedKeyUsageOID.CLIENT_AUTH in usages:
            assert "read and change everything in etcd" in powers[name], name
    assert ("be administrator" in powers["m1/apiserver-kubelet-client"]) == group


def test_a_plain_password_is_in_the_cluster_file(kgen, rendered, here):
    assert kgen("exposure", "prod.yaml", "--fail-on", "clusterFile").code == 0
    with (here / "prod.yaml").open("a") as file:
        file.write("users: [{name: ops, plain_text_passwd: test-only-password}]\n")
    assert kgen("exposure", "prod.yaml", "--fail-on", "clusterFile").code == 3


def test_the_search_finds_each_form():
    secret = b"\x30\x81" + bytes(range(100))
    pem = base64.encodebytes(secret)
    assert secret in b"".join(layers(b"x" + zlib.compress(secret, wbits=31) + b"y"))
    encoded = base64.b64encode(zlib.compress(bytes(range(256)) * 3, wbits=31))
    assert bytes(range(256)) in b"".join(layers(b"content: " + encoded + b"\n"))
    assert base64.b64encode(secret)[40:-40] in re.sub(rb"\s", b"", pem)


def test_the_files_on_a_machine_are_those_of_its_review_tree(kgen, rendered):
    report = json.loads(kgen("exposure", "prod.yaml", "--json").out)
    for secret in report["secrets"]:
        places = {
            kind: {p["path"] for p in secret["places"] if p["kind"] == kind} for kind in ("reviewTree", "machines")
        }
        on_machines = {f"nodes/{p['machine']}{p['path']}" for p in secret["places"] if p["kind"] == "machines"}
        assert places["reviewTree"] == on_machines


def test_it_prints_no_secret(kgen, here):
    (here / "prod.yaml").write_text(CLUSTER + MORE)
    assert kgen("render", "prod.yaml").code == 0
    bundle = store.read(here / "prod.secrets.yaml")
    printed = [kgen("exposure", "prod.yaml", *more) for more in ((), ("--json",))]
    assert (
        search({str(number): ended.out.encode() for number, ended in enumerate(printed)}, bundle, given_in_the_file())
        == set()
    )
    assert "ca.key" in printed[0].out


@pytest.mark.parametrize(
    ("places", "code"),
    [((), 0), (("seeds",), 0), (("clusterFile",), 0), (("userData",), 3), (("seeds", "bundle"), 3), (("api",), 3)],
)
def test_fail_on_places(kgen, rendered, places, code):
    words = [word for place in places for word in ("--fail-on", place)]
    assert kgen("exposure", "prod.yaml", *words).code == code


def test_who_can_read_depends_on_the_provider(kgen, rendered, here):
    assert "169.254" not in kgen("exposure", "prod.yaml").out
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "provider: ec2\n")
    assert "ec2:DescribeInstanceAttribute" in kgen("exposure", "prod.yaml").out


@pytest.mark.parametrize(
    ("provider", "fence", "says"),
    [
        ("", "", "every program on it that reaches a metadata service; here"),
        (
            "",
            "metadataFence: true",
            "reaches a metadata service; pods do not, except those with the machine's network;",
        ),
        ("ec2", "", "which pods do unless the hop limit is 1"),
        ("ec2", "metadataFence: true", "169.254.169.254; pods do not, except those with the machine's network; here"),
        ("gce", "metadataFence: true\nmetadataFenceHostNetwork: true", "metadata.google.internal; pods do not; here"),
        ("cloudstack", "metadataFence: true", "reaches the virtual router, pods too; here"),
        ("vsphere", "metadataFence: true", "runs vmware-rpctool; here"),
    ],
)
def test_the_fence_changes_what_pods_can_read(kgen, rendered, here, provider, fence, says):
    lines = [f"provider: {provider}"] * bool(provider) + [fence]
    (here / "prod.yaml").write_text("\n".join([(here / "prod.yaml").read_text(), *lines]))
    readers = json.loads(kgen("exposure", "prod.yaml", "--json").out)["readers"]
    assert says in readers["userData"]


def test_seeds_count_once_they_are_there(kgen, rendered):
    assert kgen("seed", "prod.yaml").code == 0
    assert kgen("exposure", "prod.yaml", "--fail-on", "seeds").code == 3


def test_files_of_an_earlier_render_count_as_places_with_secrets(kgen, rendered, here):
    def failed(*kinds: str) -> tuple[int, dict[str, list[str]]]:
        words = [word for kind in kinds for word in ("--fail-on", kind)]
        ended = kgen("exposure", "prod.yaml", *words, "--json")
        outdated = json.loads(ended.out)["outdated"]
        assert ended.err.count("[K943]") == len(outdated)
        return ended.code, outdated

    assert kgen("seed", "prod.yaml", "--pool", "workers", "--name", "w7").code == 0
    assert failed("userData", "seeds") == (3, {})
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "userData: {secrets: sealed}\n")
    code, outdated = failed("userData")
    assert (code, len(outdated["userData"]), "seed/w7/user-data" in outdated["seeds"]) == (3, 3, True)
    assert kgen("render", "prod.yaml").code == 0
    assert (failed("userData")[0], failed("seeds")[0], [*failed()[1]]) == (0, 3, ["seeds"])
    assert kgen("seed", "prod.yaml").code == 0
    assert failed("userData", "seeds") == (0, {})
    path = here / "prod.secrets.yaml"
    store.write(path, replace(store.read(path), seen_running=datetime(2026, 3, 1, tzinfo=UTC)))
    assert failed("userData", "seeds") == (0, {})  # only a first boot needs to know


def test_nothing_is_written(kgen, rendered, here):
    def everything() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}

    before = everything()
    assert kgen("exposure", "prod.yaml").code == 0
    assert everything() == before
