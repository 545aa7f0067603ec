"""``kgen diff``: changes by meaning, secrets as fingerprints, and what they are compared with."""

import base64
import gzip
import json
import re
import subprocess

import pytest
from tests.secret_search import search
from tests.unit.cli.conftest import CLUSTER

from kgen.secrets_bundle import store

PASSWORD = "correct-horse-battery"
CHANGED = f"""\
apiServer:
  certSANs: [api.example.com]
  extraArgs: [{{name: profiling, value: "false"}}]
  extraEnvs: [{{name: A, value: {PASSWORD}}}]
kubelet: {{maxPods: 200}}
sysctls: {{vm.swappiness: 1}}
files: [{{path: /etc/foo, content: {PASSWORD}}}]
httpProxy: {{httpProxy: "http://u:{PASSWORD}@p:1", noProxy: "10.0.0.0/8,.cluster.local"}}
bootstrapTokens: [{{ttl: 1h}}]
cloudInit: {{chpasswd: {{users: [{{name: a, password: {PASSWORD}, type: text}}]}}}}
"""


@pytest.fixture
def change(here):
    """Append lines to ``prod.yaml``, or replace a text of it."""

    def apply(more: str = "", old: str = "", new: str = "") -> None:
        path = here / "prod.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new) + more)

    return apply


def changes(kgen, *more) -> dict[str, list[tuple[str, str, str | None]]]:
    ended = kgen("diff", "prod.yaml", "--json", *more)
    assert ended.code == 3, ended.err
    found = json.loads(ended.out)
    return {
        name: [(it["kind"], it["subject"], it["after"]) for it in listed]
        for name, listed in [
            *((it["machine"], it["changes"]) for it in found["machines"]),
            ("objects", found["objects"]),
        ]
    }


def test_no_difference_after_a_render(kgen, rendered):
    ended = kgen("diff", "prod.yaml")
    assert (ended.code, ended.out, ended.err) == (0, "no difference from outputs/prod\n", "")


@pytest.mark.parametrize(
    "more",
    [
        "apiServer: {encryption: {provider: secretbox}}\n",
        "networking: {podSubnet: 10.244.0.0/16, plugin: bridge}\n",
        "userData: {secrets: sealed}\n",
    ],
)
def test_what_the_bundle_gives_to_machines_is_no_difference(kgen, here, more):
    text = (here / "prod.yaml").read_text()
    if "bridge" in more:
        text = text[: text.index("pools:")]
    (here / "prod.yaml").write_text(text + more)
    assert kgen("render", "prod.yaml").code == 0
    ended = kgen("diff", "prod.yaml")
    assert (ended.code, ended.out, ended.err) == (0, "no difference from outputs/prod\n", "")


def test_changes_are_told_by_meaning(kgen, rendered, change):
    change(
        "apiServer: {certSANs: [api.example.com], extraArgs: [{name: profiling, value: 'false'}]}\n"
        "kubelet: {maxPods: 200}\n"
    )
    found = changes(kgen)
    subjects = [(kind, subject) for kind, subject, _ in found["m1"]]
    assert subjects == [
        ("changed", "certificate apiserver issued again"),
        ("added", "certificate apiserver SAN"),
        ("added", "/var/lib/kubelet/config.yaml maxPods"),
        ("added", "kube-apiserver --profiling"),
    ]
    assert found["m1"][1][2] == "api.example.com"
    assert found["w1"] == found["workers"] == [("added", "/var/lib/kubelet/config.yaml maxPods", "200")]
    assert ("added", "ConfigMap kube-system/kubelet-config kubelet maxPods", "200") in found["objects"]


MEANINGS = {
    "a user and its groups": (
        "users: [default, {name: alice, groups: [adm], passwd: $6$a$b}]\n",
        "users: [default, {name: alice, groups: [wheel], passwd: $6$a$c}]\n",
        [("changed", "cloud-init users[alice].groups"), ("changed", "cloud-init users[alice].passwd")],
    ),
    "a package": (
        "cloudInit: {packages: [nfs-common, jq]}\n",
        "cloudInit: {packages: [nfs-common, htop]}\n",
        [("removed", "package jq"), ("added", "package htop")],
    ),
    "an environment variable without a value": (
        "apiServer: {extraEnvs: [{name: A}]}\n",
        "apiServer: {extraEnvs: [{name: B}]}\n",
        [
            ("removed", "kube-apiserver spec.containers[kube-apiserver].env[A]"),
            ("added", "kube-apiserver spec.containers[kube-apiserver].env[B]"),
        ],
    ),
    "the endpoint in kubeconfigs": (
        "controlPlaneEndpoint: a.example.com\n",
        "controlPlaneEndpoint: b.example.com\n",
        [("changed", "/etc/kubernetes/admin.conf clusters[prod].cluster.server")],
    ),
    "the order of things": (
        "apiServer: {extraEnvs: [{name: A, value: a}, {name: B, value: b}]}\n",
        "apiServer: {extraEnvs: [{name: B, value: b}, {name: A, value: a}]}\n",
        [("changed", "order or form of the document")],
    ),
    "an image of kgen's own objects": (
        "imageRepository: a.example.com\n",
        "imageRepository: b.example.com\n",
        [("changed", "DaemonSet kube-system/kube-proxy spec.template.spec.containers[kube-proxy].image")],
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), MEANINGS.values(), ids=MEANINGS)
def test_a_change_is_told_by_meaning(kgen, here, change, before, after, expected):
    change(before)
    assert kgen("render", "prod.yaml", "--quiet").code == 0
    change(old=before, new=after)
    found = changes(kgen)
    told = [(kind, subject) for kind, subject, _ in (*found["m1"], *found["objects"])]
    assert set(told) >= set(expected), told
    assert not [subject for _, subject in told if subject.startswith("file ")]


def test_a_pod_s_range_and_the_routes_to_it(kgen, here, change):
    change(
        old="pools:\n  - {name: workers, role: node}\n", new="networking: {plugin: bridge, podSubnet: 10.244.0.0/16}\n"
    )
    assert kgen("render", "prod.yaml", "--quiet").code == 0
    change(old="role: node, address: 10.0.0.21", new="role: node, address: 10.0.0.22")
    ((kind, subject, after),) = changes(kgen)["m1"]
    assert (kind, subject.split()[0], after) == ("changed", "route", "via 10.0.0.22")


def test_the_user_s_own_objects_stay_fingerprints(kgen, rendered, change, here):
    (here / "map.yaml").write_text(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{a: {PASSWORD}}}\n")
    change("manifests: [map.yaml]\n")
    ended = kgen("diff", "prod.yaml")
    assert (ended.code, PASSWORD in ended.out) == (3, False)
    assert "+ ConfigMap default/a: fingerprint " in ended.out or "+ ConfigMap a: fingerprint " in ended.out


def test_a_long_value_shows_where_it_differs(kgen, rendered, change):
    labels = ", ".join(f"example.com/label-{number}: value" for number in range(20))
    change(old="name: w1, ", new=f"name: w1, labels: {{{labels}}}, ")
    ended = kgen("diff", "prod.yaml")
    assert (ended.code, "+ kubelet --node-labels: example.com/label-0=value," in ended.out) == (3, True)
    assert kgen("render", "prod.yaml", "--quiet").code == 0
    change(old="label-9: value", new="label-9: other")
    (line,) = [line for line in kgen("diff", "prod.yaml").out.splitlines() if "--node-labels" in line]
    assert "label-9=value" in line
    assert "label-9=other" in line


def test_machines_with_the_same_changes_share_their_lines(kgen, rendered, change):
    change("sysctls: {vm.swappiness: 1}\n")
    lines = kgen("diff", "prod.yaml").out.splitlines()
    assert lines[0] == "m1, w1, workers:"
    assert lines[1].startswith("  + /etc/sysctl.d/")
    assert lines[1].endswith(" vm.swappiness: 1")


def test_machines_that_come_and_go(kgen, rendered, change):
    change(old="name: w1", new="name: w2")
    found = json.loads(kgen("diff", "prod.yaml", "--json").out)
    assert (found["added"], found["removed"]) == (
        [{"machine": "w2", "role": "node"}],
        [{"machine": "w1", "role": "node"}],
    )


def test_secrets_appear_as_fingerprints_only(kgen, rendered, change, here):
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + CHANGED)
    for words in ((), ("--json",)):
        ended = kgen("diff", "prod.yaml", *words)
        assert ended.code == 3, ended.err
        assert "/etc/foo" in ended.out
        assert PASSWORD not in ended.out + ended.err
        for encoded in _forms_of(PASSWORD):
            assert encoded not in ended.out
    (found,) = {it["after"] for it in _listed(kgen) if it["subject"] == "file /etc/foo"}
    (other,) = {it["after"] for it in _listed(kgen) if it["subject"].endswith("env[A].value")}
    assert found == other
    assert len(found) == 12


@pytest.mark.parametrize(
    "more", ["", "userData: {secrets: sealed}\n", "apiServer: {encryption: {provider: secretbox}}\n"]
)
def test_no_secret_of_either_cluster_is_printed_where_everything_differs(kgen, here, change, more):
    change(f"{more}users: [{{name: alice, plain_text_passwd: {PASSWORD}}}]\n")
    assert kgen("render", "prod.yaml", "--quiet").code == 0
    bundles = [store.read(here / "prod.secrets.yaml")]
    (here / "outputs").rename(here / "before")
    assert kgen("render", "prod.yaml", "--quiet", "--new-cluster").code == 0
    bundles.append(store.read(here / "prod.secrets.yaml"))
    printed = {}
    for words in ((), ("--json",)):
        ended = kgen("diff", "prod.yaml", "--against", "before", *words)
        if more.startswith("userData"):  # the new bundle has no key for what the old one sealed
            assert ended.code == 2
        else:
            assert (ended.code, "bootstrap-kubelet.conf" in ended.out) == (3, True), ended.err
        printed[str(words)] = (ended.out + ended.err).encode()
    assert [search(printed, bundle) for bundle in bundles] == [set(), set()]


def _listed(kgen):
    return [
        it for machine in json.loads(kgen("diff", "prod.yaml", "--json").out)["machines"] for it in machine["changes"]
    ]


def _forms_of(text: str) -> list[str]:
    import base64
    import hashlib

    return [base64.b64encode(text.encode()).decode(), hashlib.sha256(text.encode()).hexdigest()[:12]]


def test_a_renewed_certificate_is_named_with_its_key(kgen, rendered):
    assert kgen("certs", "renew", "prod.yaml", "m1/etcd/server").code == 0
    assert [it[:2] for it in changes(kgen)["m1"]] == [("changed", "certificate etcd/server issued again")]


def test_another_directory_and_a_git_revision(kgen, rendered, change, here):
    def git(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run(["git", *identity, *words], check=True, capture_output=True)

    git("init", "--quiet")
    git("add", "prod.yaml")
    git("commit", "--quiet", "--message", "first")
    change("kubelet: {maxPods: 200}\n")
    expected = {name: [("added", "/var/lib/kubelet/config.yaml maxPods", "200")] for name in ("m1", "w1", "workers")}
    for against in ("HEAD", "outputs", "outputs/prod"):
        found = changes(kgen, "--against", against)
        assert {name: found[name] for name in expected} == expected
    git("commit", "--quiet", "--all", "--message", "second")
    assert kgen("diff", "prod.yaml", "--against", "HEAD").code == 0
    assert kgen("diff", "prod.yaml", "--against", "HEAD~1").code == 3
    for wrong in ("HEAD~7", "--output", "nowhere"):
        ended = kgen("diff", "prod.yaml", f"--against={wrong}")
        assert ended.code == 2
        assert "revision" in ended.err


def test_a_file_in_a_subdirectory_and_a_shallow_clone(kgen, rendered, change, here, git, monkeypatch):
    for name in ("prod.yaml", "prod.secrets.yaml"):
        (here / "clusters/one").mkdir(parents=True, exist_ok=True)
        (here / name).rename(here / "clusters/one" / name)
    git("add", "--all")
    git("commit", "--quiet", "--message", "first")
    git("clone", "--quiet", "--depth=1", here.as_uri(), "clone")
    monkeypatch.chdir(here / "clone/clusters/one")
    (here / "clone/clusters/one/prod.yaml").write_text(CLUSTER + "kubelet: {maxPods: 200}\n")
    expected = [("added", "/var/lib/kubelet/config.yaml maxPods", "200")]
    assert changes(kgen, "--against", "HEAD")["w1"] == expected
    ended = kgen("diff", "prod.yaml", "--against", "HEAD~1")
    assert (ended.code, "HEAD~1" in ended.err) == (2, True)


def test_a_file_that_the_revision_has_under_another_name(kgen, rendered, here, git):
    git("add", "--all")
    git("commit", "--quiet", "--message", "first")
    (here / "prod.yaml").rename(here / "new.yaml")
    (here / "prod.secrets.yaml").rename(here / "new.secrets.yaml")
    ended = kgen("diff", "new.yaml", "--against", "HEAD")
    assert (ended.code, "new.yaml is not in git's HEAD" in ended.err) == (2, True)


def test_a_directory_without_rendered_documents_is_none(kgen, rendered, here):
    (here / "home/documents").mkdir(parents=True)
    ended = kgen("diff", "prod.yaml", "--against", "home")
    assert (ended.code, "is neither a directory with rendered documents" in ended.err) == (2, True)


@pytest.mark.parametrize(
    "more",
    [
        "userData: {secrets: sealed}\n",
        "provider: ec2\nuserData: {secrets: byReference}\n",
        "image: {runner: baked}\nprovider: hetzner\n",
    ],
)
def test_every_way_of_delivery_tells_the_same(kgen, here, change, more):
    change(more)
    assert kgen("render", "prod.yaml", "--quiet").code == 0
    change("kubelet: {maxPods: 200}\n")
    found = changes(kgen)
    assert found["w1"] == found["m1"] == [("added", "/var/lib/kubelet/config.yaml maxPods", "200")]


@pytest.fixture
def git(here):
    """Run git in a new repository, whose work tree is ``here``."""

    def call(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run(["git", *identity, *words], check=True, capture_output=True, cwd=here)

    call("init", "--quiet")
    return call


def test_a_wrong_file_of_a_revision_is_named_as_git_names_it(kgen, rendered, change, here, git):
    (here / "objects.yaml").write_text("kind: Namespace\n")
    change("manifests: [objects.yaml]\nkubelet: {maxPods: many}\n")
    git("add", "--all")
    git("commit", "--quiet", "--message", "first")
    change(old="manifests: [objects.yaml]\nkubelet: {maxPods: many}\n")
    ended = kgen("diff", "prod.yaml", "--against", "HEAD")
    assert ended.code == 2
    assert "HEAD:prod.yaml:" in ended.err
    assert "HEAD:objects.yaml" in ended.err
    assert "kgen-diff" not in ended.err


def test_a_link_in_a_revision_is_followed_inside_of_it(kgen, rendered, change, here, git):
    (here / "real.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")
    (here / "link.yaml").symlink_to("real.yaml")
    (here / "circle.yaml").symlink_to("circle.yaml")
    (here / "out.yaml").symlink_to("/etc/hostname")
    change("manifests: [link.yaml]\n")
    git("add", "--all")
    git("commit", "--quiet", "--message", "first")
    assert kgen("diff", "prod.yaml", "--against", "HEAD").code == 0


def test_a_revision_needs_git_and_git_says_why(kgen, rendered, here, git, monkeypatch):
    (here / "programs").mkdir()
    (here / "programs/git").write_text("#!/bin/sh\necho 'fatal: detected dubious ownership' >&2; exit 128\n")
    (here / "programs/git").chmod(0o755)
    monkeypatch.setenv("PATH", str(here / "programs"))
    assert "(git: detected dubious ownership)" in kgen("diff", "prod.yaml", "--against", "HEAD").err
    (here / "programs/git").unlink()
    ended = kgen("diff", "prod.yaml", "--against", "HEAD")
    assert (ended.code, "install git" in ended.err) == (2, True)


def test_nothing_is_written(kgen, rendered, change, here):
    change("apiServer: {certSANs: [api.example.com]}\n")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert kgen("diff", "prod.yaml").code == 3
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_what_cannot_be_compared_is_an_error(kgen, here):
    assert "kgen render prod.yaml` creates it" in kgen("diff", "prod.yaml").err
    assert kgen("render", "prod.yaml", "--output", "elsewhere").code == 0
    ended = kgen("diff", "prod.yaml")
    assert (ended.code, "nothing of prod is rendered in outputs" in ended.err) == (2, True)
    document = here / "elsewhere/prod/user-data/m1.yaml.gz"
    deep = b"a: " + b"[" * 100_000
    for content in (b"", b"\x1f\x8b\x08", *map(gzip.compress, (b"a: [", b"[]", deep))):
        document.write_bytes(content)
        ended = kgen("diff", "prod.yaml", "--against", "elsewhere")
        assert (ended.code, "m1.yaml.gz is damaged" in ended.err or "m1 in elsewhere/prod is damaged" in ended.err) == (
            2,
            True,
        ), ended.err


@pytest.mark.parametrize("damage", [lambda payload: payload[:500], lambda payload: payload[:300] + payload[301:]])
def test_a_damaged_payload_is_an_error(kgen, here, change, damage):
    change("provider: digitalocean\nimage: {runner: baked}\n")  # there the payload itself is compressed
    assert kgen("render", "prod.yaml").code == 0
    document = here / "outputs/prod/user-data/m1.yaml.gz"
    text = gzip.decompress(document.read_bytes())
    (payload,) = re.findall(rb"H4sI[A-Za-z0-9+/=]{1000,}", text)
    text = text.replace(payload, base64.b64encode(damage(base64.b64decode(payload))))
    document.write_bytes(gzip.compress(text))
    ended = kgen("diff", "prod.yaml")
    assert (ended.code, "the document of m1 in outputs/prod is damaged" in ended.err) == (2, True), ended.err


def test_a_damaged_certificate_is_an_error(kgen, rendered):
    document = rendered / "user-data/m1.yaml.gz"
    text = gzip.decompress(document.read_bytes())
    assert b'"3082' in text
    document.write_bytes(gzip.compress(text.replace(b'"3082', b'"3182')))
    ended = kgen("diff", "prod.yaml")
    assert (ended.code, "the document of m1 in outputs/prod is damaged" in ended.err) == (2, True), ended.err
