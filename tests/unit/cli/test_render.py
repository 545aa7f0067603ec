import gzip
import hashlib
import json
import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest
from tests import clusters

from kgen.cli import render as module
from kgen.emitters.contract import DocumentInfo
from kgen.secrets_bundle import store


def everything(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(directory)): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_first_render_says_what_it_made(kgen, here):
    ended = kgen("render", "prod.yaml")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].split() == ["machine", "role", "user-data", "bytes", "earliest", "expiry", "path"]
    assert [line.split()[:2] for line in lines[1:4]] == [["m1", "master"], ["w1", "node"], ["workers", "node"]]
    assert lines[1].endswith("outputs/prod/user-data/m1.yaml.gz")
    assert lines[4] == ""
    assert "secrets bundle created: prod.secrets.yaml" in ended.out
    assert lines[-1].startswith("next: boot each machine with its file as user-data, then `kubectl ")
    assert re.search(r"^outputs/prod: \d+ files written$", ended.out, re.M)
    assert stat.S_IMODE((here / "prod.secrets.yaml").stat().st_mode) == 0o600


def test_without_a_provider_it_says_where_the_largest_does_not_fit(kgen, here):
    note = r"note: the largest user-data \(\d\d,\d{3} bytes\) exceeds the limit of ec2, akamai and oracle.*; set `prov"
    assert re.search(note, kgen("render", "prod.yaml").out)
    cluster_file = here / "prod.yaml"
    cluster_file.write_text(cluster_file.read_text() + "provider: nocloud\n")
    assert "exceeds the limit" not in kgen("render", "prod.yaml").out


def test_a_provider_without_gzip_gets_the_readable_file_of_every_node(kgen, here):
    nodes = "".join(f"  - {{name: n{number}, role: node}}\n" for number in range(101))
    text = (here / "prod.yaml").read_text().replace("machines:\n", f"provider: digitalocean\nmachines:\n{nodes}")
    (here / "prod.yaml").write_text(text)
    listed = json.loads(kgen("render", "prod.yaml", "--json").out)["artifacts"]
    assert {artifact["encoding"] for artifact in listed} == {"text"}
    assert all(Path(artifact["path"]).stat().st_size == artifact["bytes"] for artifact in listed)


def test_second_render_changes_nothing(kgen, rendered, here):
    before = everything(here)
    ended = kgen("render", "prod.yaml")
    assert ended.code == 0
    assert "nothing changed" in ended.out
    assert "created" not in ended.out
    assert everything(here) == before


def test_everything_except_the_bundle_can_be_deleted(kgen, rendered, here):
    before = {path: content for path, (_, _, content) in everything(here).items()}
    for path in sorted(rendered.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert kgen("render", "prod.yaml").code == 0
    assert {path: content for path, (_, _, content) in everything(here).items()} == before


def test_no_secret_is_printed(kgen, here):
    printed = [kgen("render", "prod.yaml", *more) for more in ((), ("--json",), ("--check",))]
    printed += [kgen("certs", "prod.yaml"), kgen("certs", "prod.yaml", "--json"), kgen("certs", "renew", "prod.yaml")]
    bundle = store.read(here / "prod.secrets.yaml")
    secrets = [bundle.service_account.key, *bundle.tokens, bundle.tokens[0].partition(".")[2]]
    secrets += [entry.key for entry in bundle.entries.values()]
    body_lines = {line for secret in secrets for line in secret.splitlines() if not line.startswith("-----")}
    assert len(body_lines) > 20
    text = "".join(ended.out + ended.err for ended in printed)
    assert not [line for line in body_lines if line in text]


def test_quiet_prints_nothing(kgen):
    ended = kgen("render", "prod.yaml", "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_json_describes_every_artifact(kgen, here):
    ended = kgen("render", "prod.yaml", "--json")
    data = json.loads(ended.out)
    assert (ended.code, data["check"], data["root"]) == (0, False, "outputs/prod")
    assert data["bundle"]["created"] is True
    assert [artifact["machine"] for artifact in data["artifacts"]] == ["m1", "w1", "workers"]
    first = data["artifacts"][0]
    assert set(first) == {
        "machine", "role", "pool", "path", "bytes", "limit", "sha256", "encoding", "expiry",
    }  # fmt: skip
    content = (here / first["path"]).read_bytes()
    assert first["bytes"] == len(content)
    assert first["sha256"] == hashlib.sha256(gzip.decompress(content)).hexdigest()
    assert datetime.fromisoformat(first["expiry"]) > datetime.now(UTC)
    assert data["artifacts"][2]["pool"] is True
    files = {entry["path"] for entry in data["files"]}
    assert files | {"outputs/prod/kgen.lock.json"} == {
        f"outputs/prod/{path}" for path in everything(here / "outputs/prod")
    }
    assert {change["kind"] for change in data["changes"]} == {"create"}


def test_check_of_a_fresh_cluster_misses_the_bundle(kgen, here):
    ended = kgen("render", "prod.yaml", "--check")
    assert ended.code == 3
    assert "the secrets bundle prod.secrets.yaml is missing" in ended.out
    assert [path.name for path in here.iterdir()] == ["prod.yaml"]
    assert json.loads(kgen("render", "prod.yaml", "--check", "--json").out)["bundle"]["missing"] is True


def test_check_finds_nothing_after_a_render(kgen, rendered):
    ended = kgen("render", "prod.yaml", "--check")
    assert (ended.code, ended.err) == (0, "")
    assert "up to date" in ended.out


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda root: (root / "admin.conf").unlink(), "create  outputs/prod/admin.conf"),
        (lambda root: (root / "admin.conf").write_text("x"), "update  outputs/prod/admin.conf"),
        (lambda root: (root / "admin.conf").chmod(0o644), "mode    outputs/prod/admin.conf"),
        (lambda root: (root / "kgen.lock.json").unlink(), "create  outputs/prod/kgen.lock.json"),
    ],
)
def test_check_finds_what_differs_and_a_render_repairs_it(kgen, rendered, change, expected):
    change(rendered)
    before = everything(rendered)
    ended = kgen("render", "prod.yaml", "--check")
    assert ended.code == 3
    assert ended.out.splitlines() == [expected]
    assert everything(rendered) == before
    assert kgen("render", "prod.yaml").code == 0
    assert kgen("render", "prod.yaml", "--check").code == 0


def test_check_of_a_changed_cluster_file_writes_nothing(kgen, rendered, here):
    path = here / "prod.yaml"
    path.write_text(path.read_text() + "apiServer: {certSANs: [api.example.com]}\n")
    before = everything(here)
    ended = kgen("render", "prod.yaml", "--check")
    assert ended.code == 3
    assert "update  prod.secrets.yaml" in ended.out
    assert "m1/apiserver:" in ended.out
    assert "outputs/prod/user-data/m1.yaml.gz" in ended.out
    assert everything(here) == before
    ended = kgen("render", "prod.yaml")
    assert "issued again: m1/apiserver" in ended.out
    assert kgen("render", "prod.yaml", "--check").code == 0


def test_removed_machine_disappears_from_the_output(kgen, rendered, here):
    (rendered / "notes.txt").write_text("mine")
    path = here / "prod.yaml"
    path.write_text(path.read_text().replace("  - {name: w1, role: node, address: 10.0.0.21}\n", ""))
    ended = kgen("render", "prod.yaml")
    assert "removed" in ended.out
    assert not [path for path in rendered.rglob("*") if "w1" in path.parts or path.name.startswith("w1.")]
    assert (rendered / "notes.txt").read_text() == "mine"


def test_no_new_secrets_refuses_a_missing_bundle(kgen, here):
    ended = kgen("render", "prod.yaml", "--no-new-secrets")
    assert (ended.code, ended.out) == (2, "")
    assert "no secrets bundle prod.secrets.yaml" in ended.err
    assert [path.name for path in here.iterdir()] == ["prod.yaml"]


def test_lost_bundle_does_not_become_a_new_cluster(kgen, rendered, here):
    (here / "prod.secrets.yaml").unlink()
    before = everything(here)
    ended = kgen("render", "prod.yaml")
    assert ended.code == 2
    assert "hint: restore prod.secrets.yaml from a backup; for a new cluster: `kgen render prod.yaml --new" in ended.err
    assert everything(here) == before


def test_bundle_of_another_cluster_is_refused(kgen, rendered, here):
    (here / "other.yaml").write_text((here / "prod.yaml").read_text())
    assert kgen("render", "other.yaml", "--output", "elsewhere").code == 0
    before = everything(rendered)
    for more in ((), ("--check",)):
        ended = kgen("render", "other.yaml", *more)
        assert ended.code == 2
        assert "another cluster CA" in ended.err
    assert everything(rendered) == before


def test_failed_first_render_leaves_no_bundle(kgen, here):
    (here / "outputs").mkdir()
    (here / "outputs/prod").write_text("in the way")
    ended = kgen("render", "prod.yaml")
    assert ended.code == 1
    assert "not a directory" in ended.err
    assert sorted(path.name for path in here.iterdir()) == ["outputs", "prod.yaml"]


def test_document_over_its_limit_writes_nothing(kgen, here):
    users = "".join(f"  - {{name: u{n}, gecos: {hashlib.sha512(bytes([n])).hexdigest() * 3}}}\n" for n in range(200))
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + f"provider: ec2\nusers:\n{users}")
    ended = kgen("render", "prod.yaml")
    assert (ended.code, ended.out) == (2, "")
    assert "over the limit" in ended.err
    assert [path.name for path in here.iterdir()] == ["prod.yaml"]


def test_file_of_the_user_is_not_overwritten(kgen, here):
    (here / "outputs/prod").mkdir(parents=True)
    (here / "outputs/prod/admin.conf").write_text("mine")
    ended = kgen("render", "prod.yaml")
    assert ended.code == 1
    assert "error: outputs/prod/admin.conf was not written by kgen; nothing was written" in ended.err
    assert sorted(path.name for path in here.iterdir()) == ["outputs", "prod.yaml"]
    assert list(everything(here / "outputs")) == ["prod/admin.conf"]


def test_size_of_a_kept_gzip_is_that_on_disk(kgen, rendered, here):
    before = json.loads(kgen("render", "prod.yaml", "--json").out)["artifacts"][1]
    path = here / before["path"]
    other_zlib = gzip.compress(gzip.decompress(path.read_bytes()), 1, mtime=0)
    lock = rendered / "kgen.lock.json"
    lock.write_text(lock.read_text().replace(f'"bytes": {before["bytes"]}', f'"bytes": {len(other_zlib)}'))
    path.write_bytes(other_zlib)
    ended = kgen("render", "prod.yaml", "--json")
    data = json.loads(ended.out)
    assert data["changes"] == []
    assert data["artifacts"][1]["bytes"] == len(other_zlib)


def test_a_gzip_on_disk_that_does_not_fit_is_made_again(kgen, rendered, here):
    before = json.loads(kgen("render", "prod.yaml", "--json").out)["artifacts"][0]
    path = here / before["path"]
    stored = gzip.compress(gzip.decompress(path.read_bytes()), 0, mtime=0)
    path.write_bytes(stored)
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "provider: hetzner\n")
    data = json.loads(kgen("render", "prod.yaml", "--json").out)
    assert data["artifacts"][0]["sha256"] == before["sha256"]
    assert len(path.read_bytes()) < 24_576 < len(stored)  # as base64: Hetzner's 32,768


def document(name: str, role="node", is_pool=False, size=5_000, limit=16_384) -> DocumentInfo:
    expiry = datetime(2030, 1, 2, tzinfo=UTC)
    path = PurePosixPath(f"user-data/{name}.yaml.gz")
    return DocumentInfo(name, role, is_pool, path, "ec2" if limit else "", size, limit, "gzip", "", expiry)


def test_long_table_groups_plain_nodes_in_one_line():
    nodes = [document(f"w{number}", size=5_000 + number) for number in range(1, 1_001)]
    documents = [*nodes, document("m1", "master", size=12_345), document("pool", is_pool=True)]
    lines = module.documents_table(Path("outputs/prod"), documents).splitlines()
    assert len(lines) == 1 + module.MOST_ROWS
    assert lines[1].split() == [
        "m1",
        "master",
        "12,345",
        "of",
        "16,384",
        "2030-01-02",
        "outputs/prod/user-data/m1.yaml.gz",
    ]
    assert lines[2].split()[:3] == ["pool", "node", "(pool)"]
    assert " ".join(lines[-1].split()) == "… 983 more node ≤ 6,000 of 16,384 2030-01-02 outputs/prod/user-data/"


def test_table_without_a_limit_shows_bytes_only():
    line = module.documents_table(Path("o"), [document("w1", limit=None)]).splitlines()[1]
    assert line.split() == ["w1", "node", "5,000", "2030-01-02", "o/user-data/w1.yaml.gz"]


def test_manifests_are_among_the_objects_of_the_output(kgen, here):
    names = [f"c{number}" for number in range(100)]
    objects = (f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}" for name in names)
    (here / "mine.yaml").write_text("\n---\n".join([*objects, SECRET]))
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "manifests: [mine.yaml]\n")
    assert kgen("render", "prod.yaml").code == 0
    files = sorted((here / "outputs/prod/api").iterdir())
    assert [file.name.partition("-default-")[2] for file in files[-102:-1]] == [
        *(f"{name}.yaml" for name in names),
        "pin.yaml",
    ]
    assert files[-1].name.endswith("-configmap-kube-system-kgen.yaml")
    assert files[-2].stat().st_mode & 0o777 == 0o600


def test_problems_of_manifests_are_printed_with_their_place_and_no_secret(kgen, here):
    (here / "mine.yaml").write_text(f"{SECRET}stringData: {{pin: 0123}}\n")
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "manifests: [mine.yaml]\n")
    ended = kgen("render", "prod.yaml")
    assert ended.code == 2
    assert "mine.yaml:4:19: stringData.pin: stringData.pin must be a text [K504]" in ended.err
    assert "0123" not in ended.err


SHADOW = "root:$6$salt$hash:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n"


@pytest.mark.parametrize(
    "text",
    [
        SHADOW,
        f"{SHADOW}\t- @",
        "hunter2: a\nhunter2: b\n",
        "- !hunter2 x\n",
        "[hunter2",
        "\x00hunter2",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
        "machine example.org login me password hunter2\n",
    ],
)
def test_a_file_that_holds_no_objects_is_not_quoted(kgen, here, text):
    (here / "shadow").write_text(text)
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "manifests: [shadow]\n")
    ended = kgen("render", "prod.yaml")
    assert (ended.code, ended.out) == (2, "")
    assert "shadow" in ended.err
    assert not [word for word in ("hunter2", "salt", "hash", "19000", "daemon") if word in ended.err]


@pytest.mark.parametrize("name", ["prod.yaml", "prod.secrets.yaml", "mine.yaml"])
@pytest.mark.parametrize("place", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_pipe_or_device_in_place_of_an_input_is_refused(kgen, here, name, place):
    if name == "mine.yaml":
        (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "manifests: [mine.yaml]\n")
    (here / name).unlink(missing_ok=True)
    place(here / name)
    ended = kgen("render", "prod.yaml")
    assert (ended.code, ended.out) in ((1, ""), (2, ""))
    assert re.search(rf"{name}'? cannot be read: it is a|cannot read the secrets bundle {name}: it is a", ended.err)
    assert "not a plain file" in ended.err
    assert not (here / "outputs").exists()


SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: pin}\n"


def test_a_token_of_ones_own_in_the_bundle_goes_into_the_documents(kgen, here):
    assert kgen("render", "prod.yaml").code == 0
    path, own = here / "prod.secrets.yaml", "abcdef.0123456789abcdef"
    (made,) = store.read(path).tokens
    text = path.read_text().replace(made, own)
    path.write_text(text)
    assert "remove its key `checksums`, too" in kgen("render", "prod.yaml").err
    path.write_text(clusters.without_checksums(text))
    assert kgen("render", "prod.yaml").code == 0
    for name in ("w1", "workers"):
        assert own in (here / f"outputs/prod/nodes/{name}/etc/kubernetes/bootstrap-kubelet.conf").read_text()
    tokens = list((here / "outputs/prod").rglob("*bootstrap-token-abcdef*"))
    assert tokens
    assert made not in path.read_text()
