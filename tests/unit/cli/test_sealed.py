"""``userData: {secrets: sealed}`` in the verbs that give out documents, and its page."""

import base64
import json
import shlex
import shutil
import subprocess

import pytest
import yaml
from tests import pages

from kgen.facts import names
from kgen.output import lock

SEALED = "userData: {secrets: sealed}\n"


@pytest.fixture
def sealed(kgen, here):
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + SEALED)
    ended = kgen("render", "prod.yaml")
    assert ended.code == 0, ended.err
    assert "each machine needs its key, outputs/prod/sealed/MACHINE.key" in ended.out
    return here / "outputs/prod"


def payload(text):
    (entry,) = (it for it in yaml.safe_load(text)["write_files"] if it["path"] == str(names.PAYLOAD_PATH))
    return entry


def test_documents_and_keys_are_the_same_at_each_render(kgen, sealed):
    files = {path: path.read_bytes() for path in sealed.rglob("*") if path.is_file()}
    assert kgen("render", "prod.yaml", "--check").code == 0
    shutil.rmtree(sealed)
    assert kgen("render", "prod.yaml").code == 0
    assert {path: path.read_bytes() for path in files} == files


def test_keys_are_for_their_owner_only_and_each_is_another(sealed):
    keys = sorted((sealed / "sealed").iterdir())
    assert [path.name for path in keys] == ["m1.key", "w1.key", "workers.key"]
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert len({path.read_text() for path in keys}) == 3


def test_the_payload_of_a_document_is_sealed_on_every_road(kgen, sealed, here):
    assert kgen("seed", "prod.yaml").code == 0
    documents = [(sealed / "user-data/m1.yaml").read_text(), (sealed / "seed/m1/user-data").read_text()]
    for text in documents:
        content = json.loads(payload(text)["content"])
        assert (content["format"], content["key"]) == (4, "sealed/m1.key")
        assert "outputs/prod/sealed/m1.key opens it" in text.replace('"', "")
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "provider: digitalocean\n")
    assert kgen("render", "prod.yaml").code == 0
    entry = payload((sealed / "user-data/m1.yaml").read_text())
    assert "encoding" not in entry  # encrypted bytes do not compress
    assert base64.b64decode(json.loads(entry["content"])["sealed"]["cms"])[:1] == b"0"


def test_a_payload_that_did_not_change_keeps_its_bytes(kgen, sealed, here):
    before = {name: (sealed / f"user-data/{name}.yaml.gz").read_bytes() for name in ("m1", "w1", "workers")}
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text().replace("10.0.0.21}", "10.0.0.22}"))
    assert kgen("render", "prod.yaml").code == 0
    after = {name: (sealed / f"user-data/{name}.yaml.gz").read_bytes() for name in before}
    assert {name for name in before if before[name] != after[name]} == {"w1"}


def test_a_difference_is_shown_by_meaning(kgen, sealed, here):
    assert kgen("diff", "prod.yaml").code == 0
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text.replace("10.0.0.21}", "10.0.0.21, labels: {rack: r7}}"))
    ended = kgen("diff", "prod.yaml")
    assert (ended.code, "+ kubelet --node-labels: rack=r7" in ended.out) == (3, True)
    (here / "prod.yaml").write_text(
        text.replace("  - {name: workers", "  - {name: more, role: node}\n  - {name: workers")
    )
    ended = kgen("diff", "prod.yaml")
    assert (ended.code, "more" in ended.out) == (3, True)
    (here / "prod.yaml").write_text(text.replace(SEALED, ""))
    ended = kgen("diff", "prod.yaml")
    assert (ended.code, "first-boot program" in ended.out, "payload" in ended.out) == (3, True, False)


def test_a_document_that_no_key_opens_is_a_sentence(kgen, sealed, here):
    bundle = yaml.safe_load((here / "prod.secrets.yaml").read_text())
    bundle["sealKeys"]["m1"] = bundle["sealKeys"]["w1"]
    del bundle["checksums"]
    (here / "prod.secrets.yaml").write_text(yaml.safe_dump(bundle))
    ended = kgen("diff", "prod.yaml")
    assert (ended.code, "Traceback" in ended.err) == (2, False)
    assert "the document of m1 in outputs/prod is damaged" in ended.err


def test_attach_names_the_key(kgen, sealed):
    ended = kgen("attach", "prod.yaml", "m1", "--with", "hcloud")
    assert ended.code == 2  # the cluster file names no provider
    ended = kgen("attach", "prod.yaml", "m1", "--with", "openstack")
    assert (ended.code, ended.err) == (0, "")
    assert "bring outputs/prod/sealed/m1.key to /etc/kgen/seal.key of the machine by another way" in ended.out


def test_the_lock_knows_the_keys(sealed):
    assert {"sealed/m1.key", "sealed/workers.key"} <= lock.read(sealed).section("render").files.keys()


def test_keys_go_with_the_seals(kgen, sealed, here):
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text().replace(SEALED, ""))
    assert kgen("render", "prod.yaml").code == 0
    assert not (sealed / "sealed").exists()
    assert "sealKeys:" in (here / "prod.secrets.yaml").read_text()


def test_the_commands_of_the_page_run(kgen, here):
    text = pages.page("sealed-user-data.md")
    (here / "prod.yaml").write_text(pages.cluster_file(text))
    ran = pages.follow(text, kgen)
    assert ran == ["render", "exposure", "seed"]


@pytest.mark.real
def test_virt_install_takes_the_option_of_the_page():
    text = pages.page("sealed-user-data.md")
    (line,) = (line for block in pages.blocks(text) for line in block.text.splitlines() if "--sysinfo" in line)
    assert names.SEAL_KEY_CREDENTIAL in line
    base = "--name m1 --memory 512 --disk none --import --osinfo detect=off,require=off --connect test:///default"
    command = ["virt-install", *shlex.split(f"{base} {line}"), "--dry-run", "--print-xml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert '<entry name="opt/io.systemd.credentials/kgen.seal-key" file="/var/lib/' in done.stdout, done.stderr
