"""``kgen publish --to secretsmanager`` and the program of its stubs, over HTTP."""

import gzip
import json
import urllib.request

import boto3
import pytest
import yaml
from tests.unit.publishing.conftest import REGION
from tests.unit.publishing.test_publish import KEY, boot

from kgen.errors import InputError
from kgen.publishing.secrets_manager import SecretsManager

PUBLISH = ("publish", "prod.yaml", "--to", "secretsmanager")


@pytest.fixture
def secrets(aws, rendered):
    return boto3.client("secretsmanager")


def names(secrets):
    return sorted(each["Name"] for each in secrets.list_secrets()["SecretList"])


def test_each_machine_gets_a_secret_with_its_object(secrets, rendered, kgen):
    ended = kgen(*PUBLISH)
    assert (ended.code, ended.err) == (0, "")
    assert f"secretsmanager://{REGION} ({REGION}): 3 objects put, 0 unchanged" in ended.out
    assert [name.rpartition("/")[0] for name in names(secrets)] == [
        "kgen/prod/master/m1",
        "kgen/prod/node/w1",
        "kgen/prod/node/workers",
    ]
    for name in names(secrets):
        there = gzip.decompress(secrets.get_secret_value(SecretId=name)["SecretBinary"])
        assert there == (rendered / "publish/objects" / name).read_bytes()
    assert "3 unchanged" in kgen(*PUBLISH).out
    assert kgen(*PUBLISH, "--dry-run").out == "everything is published\n"
    assert kgen("unpublish", "prod.yaml").code == 0
    assert names(secrets) == []


@pytest.mark.parametrize("machine", ["m1", "workers"])
def test_a_stub_makes_the_files_of_the_whole_document(secrets, rendered, kgen, metadata, tmp_path, machine):
    assert kgen(*PUBLISH).code == 0
    code, said, at = boot(rendered, machine, metadata, tmp_path)
    assert code == 0, said
    whole = yaml.safe_load((rendered / f"user-data/{machine}.yaml").read_text())
    made = {"/" + str(path.relative_to(at)): path.read_text() for path in at.rglob("*") if path.is_file()}
    assert made == {file["path"]: file["content"] for file in whole["write_files"]}


def test_no_role_and_no_secret_are_said_and_tried_again(secrets, rendered, kgen, metadata, tmp_path):
    assert kgen(*PUBLISH).code == 0
    role, metadata.role = metadata.role, None
    code, said, _ = boot(rendered, "w1", metadata, tmp_path, **{"range(60": "range(1"})
    assert (code, said.count("/latest/meta-data/iam/security-credentials/ HTTP Error 404")) == (1, 2)
    metadata.role = role
    for name in names(secrets):
        secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    code, said, at = boot(rendered, "w1", metadata, tmp_path, **{"range(60": "range(1"})
    assert (code, said.count("ResourceNotFoundException")) == (1, 2)
    assert not at.exists()


def test_a_changed_secret_does_not_run_and_is_put_again(secrets, rendered, kgen, metadata, tmp_path):
    assert kgen(*PUBLISH).code == 0
    (name,) = (name for name in names(secrets) if "/w1/" in name)
    for bad in (gzip.compress(b"print('taken over')"), b"no gzip", gzip.compress(b"cut off")[:-5]):
        secrets.put_secret_value(SecretId=name, SecretBinary=bad)
        code, said, at = boot(rendered, "w1", metadata, tmp_path, **{"range(60": "range(0"})
        assert (code, "taken over" in said, "Traceback" in said, at.exists()) == (1, False, False, False)
        assert json.loads(kgen(*PUBLISH, "--json").out)["put"] == [name]
    assert boot(rendered, "w1", metadata, tmp_path)[0] == 0


def test_the_kms_key_is_used(secrets, rendered, kgen):
    assert kgen(*PUBLISH).code == 0
    assert len(json.loads(kgen(*PUBLISH, "--kms-key", KEY, "--json").out)["put"]) == 3
    assert all(secrets.describe_secret(SecretId=name)["KmsKeyId"] == KEY for name in names(secrets))
    assert "3 unchanged" in kgen(*PUBLISH, "--kms-key", KEY).out


def test_places_are_not_mixed(secrets, rendered, kgen):
    assert kgen(*PUBLISH).code == 0
    ended = kgen("publish", "prod.yaml", "--bucket", "clusters")
    assert (ended.code, "the cluster is published in Secrets Manager" in ended.err) == (2, True)
    ended = kgen(*PUBLISH, "--region", "us-east-2")
    assert (ended.code, "the cluster is published in eu-central-1, not in us-east-2" in ended.err) == (2, True)
    ended = kgen(*PUBLISH, "--bucket", "clusters")
    assert (ended.code, "a bucket is for S3" in ended.err) == (2, True)
    ended = kgen("publish", "prod.yaml")
    assert (ended.code, "no bucket is named" in ended.err) == (2, True)


def test_what_is_too_large_is_refused(aws):
    import random

    place = SecretsManager()
    content = random.Random(1).randbytes(65_536)
    with pytest.raises(InputError, match=r"kgen/prod/master/m1 has 65,\d+ bytes, Secrets Manager takes 65,536"):
        place.has("kgen/prod/master/m1/" + "0" * 64, content)


def test_exposure_names_the_secrets(secrets, rendered, kgen, here):
    assert kgen(*PUBLISH).code == 0
    report = json.loads(kgen("exposure", "prod.yaml", "--json").out)
    paths = {place["path"] for each in report["secrets"] for place in each["places"] if place["kind"] == "bucket"}
    assert paths == {f"secretsmanager://{REGION}/{name}" for name in names(secrets)}
    assert "secretsmanager:GetSecretValue" in report["readers"]["bucket"]


def test_the_actions_of_the_printed_policies_are_enough(aws, rendered, kgen, monkeypatch, metadata, tmp_path, moto):
    found = json.loads(kgen(*PUBLISH, "--region", REGION, "--print-policies").out)
    assert set(found) == {"master", "node", "publisher"}
    assert found["node"]["Statement"] == [
        {
            "Effect": "Allow",
            "Action": ["secretsmanager:GetSecretValue"],
            "Resource": f"arn:aws:secretsmanager:{REGION}:*:secret:kgen/prod/node/*",
        }
    ]
    with_key = json.loads(kgen(*PUBLISH, "--kms-key", KEY, "--print-policies").out)["publisher"]["Statement"][-1]
    assert with_key["Condition"] == {"StringEquals": {"kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com"}}
    iam, sts = boto3.client("iam"), boto3.client("sts")
    anybody = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}],
    }
    sessions = {}
    for who, policy in found.items():
        role = iam.create_role(RoleName=who, AssumeRolePolicyDocument=json.dumps(anybody))["Role"]
        # moto checks signatures and actions; the resource of a secret it takes for "*".
        every = {**policy, "Statement": [{**each, "Resource": "*"} for each in policy["Statement"]]}
        iam.put_role_policy(RoleName=who, PolicyName=who, PolicyDocument=json.dumps(every))
        sessions[who] = sts.assume_role(RoleArn=role["Arn"], RoleSessionName=who)["Credentials"]
    for name, key in (
        ("ACCESS_KEY_ID", "AccessKeyId"),
        ("SECRET_ACCESS_KEY", "SecretAccessKey"),
        ("SESSION_TOKEN", "SessionToken"),
    ):
        monkeypatch.setenv(f"AWS_{name}", sessions["publisher"][key])

    def check_signatures(count):
        headers = {"Content-Type": "application/octet-stream"}
        urllib.request.urlopen(
            urllib.request.Request(f"{moto}/moto-api/reset-auth", count, headers, method="POST")
        ).read()

    check_signatures(b"0")
    try:
        ended = kgen(*PUBLISH)
        assert ended.code == 0, ended.err
        keys = sessions["node"]
        metadata.role = (
            "node",
            {**{k: keys[k] for k in ("AccessKeyId", "SecretAccessKey")}, "Token": keys["SessionToken"]},
        )
        code, said, _ = boot(rendered, "w1", metadata, tmp_path)
        assert code == 0, said
        metadata.role = ("node", {**metadata.role[1], "SecretAccessKey": "wrong"})
        code, said, _ = boot(rendered, "w1", metadata, tmp_path, **{"range(60": "range(0"})
        assert (code, "HTTP Error 403" in said) == (1, True), said
    finally:
        check_signatures(b"inf")
