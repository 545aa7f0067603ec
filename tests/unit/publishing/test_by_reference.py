"""The published road in ``kgen exposure`` and ``kgen attach``, and ``userData: {secrets: byReference}``."""

import json

import pytest
import yaml
from tests.secret_search import search
from tests.unit.cli.test_exposure import CLUSTER, MORE, given_in_the_file
from tests.unit.publishing.conftest import BUCKET

from kgen.secrets_bundle import store

PUBLISH = ("publish", "prod.yaml", "--bucket", BUCKET)
BY_REFERENCE = "provider: ec2\nuserData: {secrets: byReference}\n"
SEALED = "userData: {secrets: sealed}\n"


def unpacked(content):
    """Return an object with the texts of its files, which are in it as JSON inside of JSON."""
    files, _ = json.loads(content.partition(b"unpack(*")[2].rpartition(b")")[0])
    return content + "\n".join(text for *_, text in files).encode()


def files_and_report(aws, kgen, here):
    """Return every file here and in the bucket by path, and the report of `kgen exposure`."""
    root = here / "outputs/prod"
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    files |= {name: (here / name).read_bytes() for name in ("prod.yaml", "prod.secrets.yaml")}
    for each in aws.list_objects_v2(Bucket=BUCKET)["Contents"]:
        files[f"s3://{BUCKET}/{each['Key']}"] = aws.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
    files = {
        path: unpacked(content) if "objects/" in path or "s3:" in path else content for path, content in files.items()
    }
    return files, json.loads(kgen("exposure", "prod.yaml", "--json").out)


def listed(report):
    return {
        (secret["name"], place["path"])
        for secret in report["secrets"]
        for place in secret["places"]
        if place["kind"] != "machines"
    }


def test_the_report_is_what_a_search_finds_on_disk_and_in_the_bucket(aws, kgen, here):
    (here / "prod.yaml").write_text(CLUSTER + MORE + BY_REFERENCE)
    for words in (("render",), ("publish", "--bucket", BUCKET), ("seed", "--pool", "workers", "--name", "w7")):
        ended = kgen(words[0], "prod.yaml", *words[1:])
        assert ended.code == 0, ended.err
    files, report = files_and_report(aws, kgen, here)
    assert search(files, store.read(here / "prod.secrets.yaml"), given_in_the_file()) == listed(report)
    assert "kms:Decrypt" in report["readers"]["bucket"]
    in_user_data = {it["kind"] for it in report["secrets"] for place in it["places"] if place["kind"] == "userData"}
    assert in_user_data == {"password hash"}
    assert {"seed/w7/user-data", "documents/m1.yaml.gz"} < {*files}
    assert not [path for path in files if path.startswith("user-data/")]


def test_documents_of_before_are_no_user_data_any_more_after_a_render(aws, kgen, rendered, here):
    assert kgen("seed", "prod.yaml").code == 0
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + BY_REFERENCE)
    for kind in ("userData", "seeds"):
        ended = kgen("exposure", "prod.yaml", "--fail-on", kind)
        assert (ended.code, "K943" in ended.err) == (3, True)
    assert kgen("seed", "prod.yaml").code == 2
    for words in (("render", "prod.yaml"), PUBLISH, ("seed", "prod.yaml")):
        ended = kgen(*words)
        assert ended.code == 0, ended.err
    ended = kgen("exposure", "prod.yaml", "--fail-on", "userData", "--fail-on", "seeds")
    assert (ended.code, ended.err) == (0, "")
    assert not (rendered / "user-data").exists()
    assert kgen("unpublish", "prod.yaml").code == 0
    ended = kgen("seed", "prod.yaml")
    assert (ended.code, "run `kgen publish prod.yaml --bucket BUCKET`" in ended.err) == (2, True)


def test_what_a_cluster_that_seals_publishes_is_sealed(aws, kgen, here):
    (here / "prod.yaml").write_text(CLUSTER + MORE)
    assert kgen("render", "prod.yaml").code == kgen(*PUBLISH).code == 0
    (here / "prod.yaml").write_text(CLUSTER + MORE + SEALED)
    assert kgen("render", "prod.yaml").code == 0
    assert "is not what is published" in kgen("attach", "prod.yaml", "m1", "--with", "aws").err
    assert "6 objects put" in kgen(*PUBLISH).out
    bundle = store.read(here / "prod.secrets.yaml")
    for old in (True, False):  # the objects from before the cluster sealed are there until they are removed
        files, report = files_and_report(aws, kgen, here)
        assert len([path for path in files if path.startswith("s3:")]) == (12 if old else 6)
        assert search(files, bundle, given_in_the_file()) == listed(report)
        assert ("bucket" in report["readers"]) is old
        assert kgen("unpublish", "prod.yaml", "--old").code == 0
    ended = kgen("attach", "prod.yaml", "m1", "--with", "aws")
    assert (ended.code, ended.err) == (0, "")
    assert "fileb://outputs/prod/publish/user-data/m1.yaml.gz" in ended.out
    assert "bring outputs/prod/sealed/m1.key to /etc/kgen/seal.key of the machine by another way" in ended.out


def test_what_is_published_of_a_node_that_is_gone_is_reported(aws, kgen, here):
    (here / "prod.yaml").write_text(CLUSTER + MORE)
    assert kgen("render", "prod.yaml").code == kgen(*PUBLISH).code == 0
    lines = (CLUSTER + MORE + SEALED).splitlines(keepends=True)
    (here / "prod.yaml").write_text("".join(line for line in lines if "name: w1" not in line))
    assert kgen("render", "prod.yaml").code == kgen(*PUBLISH).code == 0
    files, report = files_and_report(aws, kgen, here)
    assert search(files, store.read(here / "prod.secrets.yaml"), given_in_the_file()) == listed(report)
    assert "w1" in {place["machine"] for each in report["secrets"] for place in each["places"]}
    assert kgen("unpublish", "prod.yaml", "--old").code == 0
    assert kgen("exposure", "prod.yaml", "--fail-on", "bucket").code == 0


def test_nothing_is_sealed_for_another_key_than_the_rendered_one(aws, kgen, here):
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + SEALED)
    assert kgen("render", "prod.yaml").code == 0
    earlier = (here / "outputs/prod/sealed/w1.key").read_bytes()
    bundle = yaml.safe_load((here / "prod.secrets.yaml").read_text())
    del bundle["sealKeys"]["w1"], bundle["checksums"]
    (here / "prod.secrets.yaml").write_text(yaml.safe_dump(bundle))
    assert kgen("render", "prod.yaml").code == kgen(*PUBLISH).code == 0
    for content in (earlier, b"", None):  # an older output directory, a torn key, no key
        path = here / "outputs/prod/sealed/w1.key"
        path.unlink() if content is None else path.write_bytes(content)
        ended = kgen(*PUBLISH)
        assert ended.code == 2
        assert "outputs/prod/sealed/w1.key is not the key that the secrets bundle has for w1" in ended.err
    assert kgen("render", "prod.yaml").code == kgen(*PUBLISH).code == 0


@pytest.mark.parametrize("by_reference", [False, True])
def test_no_secret_is_in_the_user_data_of_published_machines(aws, kgen, here, by_reference):
    if by_reference:
        (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + BY_REFERENCE)
    assert kgen("render", "prod.yaml").code == 0
    assert kgen("exposure", "prod.yaml", "--fail-on", "userData").code == (0 if by_reference else 3)
    assert kgen(*PUBLISH).code == 0
    assert kgen("exposure", "prod.yaml", "--fail-on", "userData").code == 0
    assert kgen("exposure", "prod.yaml", "--fail-on", "bucket").code == 3
    assert kgen("unpublish", "prod.yaml").code == 0
    assert kgen("exposure", "prod.yaml", "--fail-on", "bucket").code == 0


def test_a_master_too_large_for_ec2_is_rendered_published_and_attached(aws, kgen, here):
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text + "provider: ec2\n")
    refused = kgen("render", "prod.yaml")
    assert refused.code == 2
    assert "`userData: {secrets: byReference}` and `kgen publish`" in refused.err
    (here / "prod.yaml").write_text(text + BY_REFERENCE)
    ended = kgen("render", "prod.yaml")
    assert ended.code == 0
    assert "the provider gets stubs: `kgen publish prod.yaml --bucket BUCKET`" in ended.out
    assert "m1 is not published from outputs/prod" in kgen("attach", "prod.yaml", "m1").err
    assert kgen(*PUBLISH).code == 0
    ended = kgen("attach", "prod.yaml", "m1")
    assert (ended.code, ended.err) == (0, "")
    assert "fileb://outputs/prod/publish/user-data/m1.yaml.gz" in ended.out
    assert "--iam-instance-profile Name=INSTANCE_PROFILE " in ended.out
    assert 'filebase64("outputs/prod/publish/user-data/w1.yaml.gz")' in (
        kgen("attach", "prod.yaml", "w1", "--with", "terraform").out
    )
    (here / "prod.yaml").write_text(text.replace("10.0.0.21}", "10.0.0.21, labels: {rack: r7}}") + BY_REFERENCE)
    assert "is not what is published" in kgen("attach", "prod.yaml", "w1").err


def test_a_damaged_stub_is_not_attached(aws, kgen, here):
    assert kgen("render", "prod.yaml").code == kgen(*PUBLISH).code == 0
    path = here / "outputs/prod/publish/user-data/m1.yaml.gz"
    whole = path.read_bytes()
    for content in (whole[:100], (here / "outputs/prod/publish/user-data/w1.yaml.gz").read_bytes(), b"", None):
        path.unlink() if content is None else path.write_bytes(content)
        ended = kgen("attach", "prod.yaml", "m1", "--with", "aws")
        assert (ended.code, ended.out) == (2, "")
        assert "outputs/prod/publish/user-data/m1.yaml.gz is not the stub that was published" in ended.err
    assert kgen(*PUBLISH).code == 0
    assert path.read_bytes() == whole
    assert kgen("attach", "prod.yaml", "m1", "--with", "aws").code == 0
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + BY_REFERENCE)
    assert kgen("render", "prod.yaml").code == kgen(*PUBLISH).code == 0
    for content in (b"junk", None):
        plain = path.with_suffix("")
        plain.unlink() if content is None else plain.write_bytes(content)
        ended = kgen("attach", "prod.yaml", "m1")
        assert (ended.code, "m1.yaml.gz is not the stub that was published" in ended.err) == (2, True)


def test_the_command_to_publish_again_names_the_same_place_and_key(aws, kgen, here):
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + BY_REFERENCE)
    assert kgen("render", "prod.yaml").code == 0
    key = "arn:aws:kms:eu-central-1:111122223333:key/0"
    for words in (
        ("--bucket", BUCKET, "--kms-key", key, "--bucket-owner", "123456789012"),
        ("--to", "secretsmanager", "--region", "us-west-2", "--kms-key", key),
    ):
        ended = kgen("publish", "prod.yaml", *words)
        assert ended.code == 0, ended.err
        ended = kgen("render", "prod.yaml", "--new-cluster")
        assert f"`kgen publish prod.yaml {' '.join(words)}`" in ended.out
        assert kgen("unpublish", "prod.yaml").code == 0


def test_seeds_of_machines_without_a_role_hold_no_stub_that_asks_aws(aws, kgen, here):
    path = here / "prod.yaml"
    path.write_text(path.read_text() + BY_REFERENCE.replace("ec2", "nocloud"))
    assert "then `kgen seed prod.yaml` and `kgen attach prod.yaml MACHINE`" in kgen("render", "prod.yaml").out
    assert kgen(*PUBLISH).code == 0
    ended = kgen("seed", "prod.yaml")
    assert (ended.code, "have no role at AWS" in ended.err) == (2, True)
    assert "`kgen publish prod.yaml --to serve --url https://ADDRESS:PORT --certificate FILE`" in ended.err


def test_who_cannot_fetch_from_aws_gets_the_whole_document(aws, kgen, here):
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "provider: openstack\n")
    assert kgen("render", "prod.yaml").code == kgen(*PUBLISH).code == 0
    assert "outputs/prod/user-data/m1.yaml.gz" in kgen("attach", "prod.yaml", "m1").out
    assert kgen("exposure", "prod.yaml", "--fail-on", "userData").code == 3


def test_only_ec2_can_fetch_what_is_published(kgen, here):
    path = here / "prod.yaml"
    path.write_text(path.read_text() + BY_REFERENCE.replace("ec2", "hetzner"))
    assert "the provider gets stubs: `kgen publish prod.yaml --to serve --url https" in kgen("render", "prod.yaml").out
    ended = kgen("attach", "prod.yaml", "m1")
    assert (ended.code, "machines at Hetzner Cloud have no role at AWS" in ended.err) == (2, True)
