"""``kgen publish``, ``kgen unpublish`` and the stubs' program, against S3 and a metadata service over HTTP."""

import base64
import gzip
import hashlib
import http.client
import io
import json
import random
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import pytest
import yaml
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests import clusters
from tests.unit.publishing.conftest import BUCKET, REGION
from tests.unit.runner.scratch import payloads

from kgen import resources
from kgen.firstboot import program
from kgen.user_data.document import compressed
from kgen.user_data.stub import Store, stub_text

PUBLISH = ("publish", "prod.yaml", "--bucket", BUCKET)
AES = {"ServerSideEncryption": "AES256"}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0f7e1b9c-58a4-4a52-8d4a-0a6c1f0f7e11"


def keys(client):
    return sorted(each["Key"] for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()))


def stub(root, machine):
    return yaml.safe_load(gzip.decompress((root / f"publish/user-data/{machine}.yaml.gz").read_bytes()))


def program_of(root, machine):
    """Return the stub's program, and what its command names."""
    document = stub(root, machine)
    (file,) = document["write_files"]
    assert document["runcmd"][-1] == ["python3", "-Iu", file["path"]]
    return file["content"]


def boot(root, machine, metadata, tmp_path, **changes):
    """Run a stub's program as a machine does, with files below ``tmp_path``; return its code, output and root."""
    code = program_of(root, machine)
    at = tmp_path / "machine"
    # The object is fetched and checked as it is; only then its files are led below a directory.
    lead = (
        "exec(told.replace('in files:', f'in files:\\n        path = {ROOT!r} + path').replace('os.execv(', 'print('))"
    )
    code = code.replace("exec(fetch(", f"ROOT = {str(at)!r}\ntold = (fetch(") + lead + "\n"
    for old, new in {"http://169.254.169.254": metadata.url, "time.sleep(10)": "time.sleep(0.01)", **changes}.items():
        assert old in code
        code = code.replace(old, new)
    ended = subprocess.run([sys.executable, "-Iu", "-c", code], capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stdout + ended.stderr, at


@pytest.fixture
def published(aws, rendered, kgen):
    assert kgen(*PUBLISH).code == 0
    return rendered


def test_stubs_fit_1500_bytes_and_hold_no_secret(published):
    secrets = json.loads(json.dumps(yaml.safe_load((published.parents[1] / "prod.secrets.yaml").read_text())))
    token = str(secrets["tokens"][0]) if "tokens" in secrets else ""
    for machine in ("m1", "w1", "workers"):
        path = published / f"publish/user-data/{machine}.yaml.gz"
        assert path.stat().st_size <= 1500
        text = gzip.decompress(path.read_bytes()).decode()
        assert text == path.with_suffix("").read_text()
        assert "PRIVATE KEY" not in text
        assert not token or token.partition(".")[2] not in text
        assert yaml.safe_load(text).get("hostname") == (None if machine == "workers" else machine)


@pytest.mark.parametrize(
    ("service", "url"),
    [
        ("s3", "https://my-clusters-of-production.s3.ap-northeast-1.amazonaws.com"),
        ("secretsmanager", "https://secretsmanager.ap-northeast-1.amazonaws.com"),
    ],
)
def test_stubs_with_the_addresses_of_aws_fit_1500_bytes(service, url):
    """The servers of the other tests have shorter ones."""
    cluster = clusters.one_master()
    place = Store(url, "ap-northeast-1", service)
    text = stub_text(cluster, payloads(cluster)["m1"], place, f"kgen/mini/master/m1/{hashlib.sha256().hexdigest()}", ())
    assert len(compressed(text.encode())) <= 1500


def test_objects_are_encrypted_and_named_by_their_content(aws, published):
    found = keys(aws)
    assert [key.rpartition("/")[0] for key in found] == [
        "kgen/prod/master/m1",
        "kgen/prod/node/w1",
        "kgen/prod/node/workers",
    ]
    for key in found:
        answer = aws.get_object(Bucket=BUCKET, Key=key)
        content = answer["Body"].read()
        assert hashlib.sha256(content).hexdigest() == key.rpartition("/")[2]
        assert answer["ServerSideEncryption"] == "aws:kms"
        assert content == (published / "publish/objects" / key).read_bytes()


@pytest.mark.parametrize("secrets", ["embedded", "sealed"])
@pytest.mark.parametrize("image", ["embedded", "baked"])
@pytest.mark.parametrize("machine", ["m1", "w1", "workers"])
def test_a_stub_makes_the_files_of_the_whole_document(
    aws, rendered, kgen, here, metadata, tmp_path, image, machine, secrets
):
    with (here / "prod.yaml").open("a") as file:
        file.write(f"image: {{runner: {image}}}\nuserData: {{secrets: {secrets}}}\n")
    assert kgen("render", "prod.yaml").code == 0
    assert kgen(*PUBLISH).code == 0
    code, said, at = boot(rendered, machine, metadata, tmp_path)
    assert code == 0, said
    whole = yaml.safe_load((rendered / f"user-data/{machine}.yaml").read_text())
    expected = {file["path"]: (file["content"], file["permissions"]) for file in whole["write_files"]}
    made = {
        "/" + str(path.relative_to(at)): (path.read_text(), f"{path.stat().st_mode & 0o7777:04o}")
        for path in at.rglob("*")
        if path.is_file()
    }
    assert made == expected
    start = whole["runcmd"][-1]
    assert repr(start)[1:-1] in said.replace("'rm -f /run/kgen/wait-for-runcmd\\n", "'")


def test_the_signature_is_what_botocore_computes(monkeypatch):
    names = {}
    exec(compile(program.joined(("aws",), with_comments=True), "aws.py", "exec"), names)
    moment = time.gmtime(1_700_000_000)
    monkeypatch.setattr(time, "gmtime", lambda *_: moment)
    url = "https://clusters.s3.eu-central-1.amazonaws.com/kgen/prod/master/m1/00ff"
    role = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "a/b+c", "Token": "t=="}
    signed = names["signed"](url, REGION, role, "s3")
    request = AWSRequest("GET", url, headers={"host": "clusters.s3.eu-central-1.amazonaws.com"})
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(b"").hexdigest()
    request.headers["X-Amz-Date"] = request.context["timestamp"] = "20231114T221320Z"
    request.headers["X-Amz-Security-Token"] = role["Token"]
    auth = S3SigV4Auth(Credentials("ASIAEXAMPLE", "a/b+c", "t=="), "s3", REGION)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert signed["authorization"].endswith(f"Signature={signature}")


def test_the_signature_of_an_operation_is_what_botocore_computes(monkeypatch):
    names = {}
    exec(compile(program.joined(("aws",), with_comments=True), "aws.py", "exec"), names)
    moment = time.gmtime(1_700_000_000)
    monkeypatch.setattr(time, "gmtime", lambda *_: moment)
    url, body = "https://ssm.eu-central-1.amazonaws.com/", b'{"Name": "/kgen/x"}'
    role = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "a/b+c", "Token": "t=="}
    more = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonSSM.GetParameter"}
    signed = names["signed"](url, REGION, role, "ssm", "POST", body, **more)
    request = AWSRequest("POST", url, data=body, headers={"host": "ssm.eu-central-1.amazonaws.com", **more})
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
    request.headers["X-Amz-Date"] = request.context["timestamp"] = "20231114T221320Z"
    request.headers["X-Amz-Security-Token"] = role["Token"]
    auth = SigV4Auth(Credentials("ASIAEXAMPLE", "a/b+c", "t=="), "ssm", REGION)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert signed["authorization"].endswith(f"Signature={signature}")


def test_unchanged_content_is_not_put_again(aws, published, kgen):
    before = {key: aws.head_object(Bucket=BUCKET, Key=key)["LastModified"] for key in keys(aws)}
    time.sleep(1.1)
    ended = kgen(*PUBLISH, "--json")
    assert ended.code == 0
    result = json.loads(ended.out)
    assert (result["put"], sorted(result["kept"]), result["changes"]) == ([], keys(aws), [])
    assert {key: aws.head_object(Bucket=BUCKET, Key=key)["LastModified"] for key in keys(aws)} == before


def test_a_damaged_or_unencrypted_object_is_put_again(aws, published, kgen):
    key = keys(aws)[0]
    content = aws.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    for bad in ({"Body": content[:-1] + b"x", "ServerSideEncryption": "aws:kms"}, {"Body": content, **AES}):
        aws.put_object(Bucket=BUCKET, Key=key, **bad)
        assert json.loads(kgen(*PUBLISH, "--json").out)["put"] == [key]
        assert aws.get_object(Bucket=BUCKET, Key=key)["Body"].read() == content


def test_a_dry_run_puts_and_writes_nothing(aws, rendered, kgen):
    ended = kgen(*PUBLISH, "--dry-run")
    assert ended.code == 0
    assert ended.out.startswith("s3://clusters (")
    assert ended.out.count("\nput     kgen/prod/") == 3
    assert all(len(line) <= 80 for line in ended.out.splitlines())
    assert keys(aws) == []
    assert not (rendered / "publish").exists()
    assert "bucket" not in json.loads((rendered / "kgen.lock.json").read_text())["sections"]


def test_old_objects_stay_until_they_are_unpublished(aws, published, kgen, here):
    before = keys(aws)
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text.replace("10.0.0.21}", "10.0.0.21, labels: {rack: r7}}"))
    assert kgen("render", "prod.yaml").code == 0
    ended = kgen(*PUBLISH)
    assert "1 objects put, 2 unchanged" in ended.out
    assert "`kgen unpublish prod.yaml --old`" in ended.out
    assert len(keys(aws)) == 4
    assert kgen("unpublish", "prod.yaml", "--old").code == 0
    assert len(keys(aws)) == 3
    assert keys(aws) != before
    assert kgen("unpublish", "prod.yaml").code == 0
    assert keys(aws) == []
    assert not (published / "publish").exists()
    assert kgen("unpublish", "prod.yaml").code == 2


def test_objects_that_nothing_records_are_warned_of(aws, published, kgen, here):
    aws.put_object(Bucket=BUCKET, Key="kgen/prod/mine", Body=b"mine")
    assert "warning" not in kgen(*PUBLISH).err
    shutil.rmtree(here / "outputs")
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text.replace("10.0.0.21}", "10.0.0.21, labels: {rack: r7}}"))
    assert kgen("render", "prod.yaml").code == 0
    for words in ((*PUBLISH, "--dry-run"), PUBLISH):
        ended = kgen(*words)
        assert ended.code == 0
        assert "outputs/prod does not record 1 objects that are there, such as s3://clusters/kgen/prod/node/w1/" in (
            ended.err
        )
    assert len(keys(aws)) == 5


VERBS = (PUBLISH, ("unpublish", "prod.yaml"), ("exposure", "prod.yaml"))
DAMAGES = {
    "no region": lambda facts: facts.pop("region"),
    "an unknown place": lambda facts: facts.update(to=["s3"]),
    "no objects": lambda facts: facts.update(objects=None),
    "a list of objects": lambda facts: facts.update(objects=["a/b/c/d/e"]),
    "a key that is no key of an object": lambda facts: facts["objects"].update(x=1),
    "templates without a region": lambda facts: facts.update(launchTemplates={"names": []}),
    "templates without names": lambda facts: facts.update(launchTemplates={"region": "r"}),
    "names that are numbers": lambda facts: facts.update(launchTemplates={"region": "r", "names": [1]}),
    "sealed keys that are objects": lambda facts: facts.update(sealed=[{}]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_a_sentence_and_nothing_is_removed(aws, published, kgen, damage):
    before = keys(aws)
    path = published / "kgen.lock.json"
    found = json.loads(path.read_text())
    DAMAGES[damage](found["sections"]["bucket"]["facts"])
    path.write_text(json.dumps(found))
    for words in VERBS:
        ended = kgen(*words)
        assert (ended.code, "kgen.lock.json is damaged" in ended.err) == (1, True), ended.err
    assert keys(aws) == before


def test_unpublish_removes_every_version_and_nothing_of_others(aws, rendered, kgen):
    aws.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    aws.put_object(Bucket=BUCKET, Key="kgen/prod/mine", Body=b"mine")
    assert kgen(*PUBLISH).code == 0
    for key in keys(aws)[:1]:
        aws.delete_object(Bucket=BUCKET, Key=key)
    assert kgen(*PUBLISH).code == 0
    assert kgen("unpublish", "prod.yaml").code == 0
    left = aws.list_object_versions(Bucket=BUCKET)
    assert [each["Key"] for each in (*left.get("Versions", ()), *left.get("DeleteMarkers", ()))] == ["kgen/prod/mine"]


def test_what_a_failed_run_put_is_known_and_completed(aws, rendered, kgen, monkeypatch):
    from kgen.publishing.bucket import Bucket

    put = Bucket.put
    done = []

    def once(self, key, content):
        if done:
            raise self._refusals.sentence("write", "SlowDown", "")
        done.append(key)
        put(self, key, content)

    monkeypatch.setattr(Bucket, "put", once)
    ended = kgen(*PUBLISH)
    assert ended.code == 1
    assert "cannot answer now (SlowDown)" in ended.err
    assert keys(aws) == done
    assert not (rendered / "publish").exists()
    monkeypatch.setattr(Bucket, "put", put)
    assert kgen("unpublish", "prod.yaml", "--dry-run").out.count("remove  ") == 3
    assert "2 objects put, 1 unchanged" in kgen(*PUBLISH).out
    assert len(keys(aws)) == 3


def test_a_stub_over_the_limit_says_what_makes_it_large(aws, rendered, kgen, here):
    noise = base64.b85encode(random.Random(1).randbytes(20_000)).decode().translate(str.maketrans("{}", "[]"))
    with (here / "prod.yaml").open("a") as file:
        file.write(f"cloudInit: {{write_files: [{{path: /opt/noise, content: {json.dumps(noise)}}}]}}\n")
    assert kgen("render", "prod.yaml").code == 0
    ended = kgen(*PUBLISH)
    assert ended.code == 2
    assert "stubs over the limit of ec2:\n  m1: " in ended.err
    assert "a stub holds `cloudInit`, `users` and `ntp`" in ended.err
    assert "kgen publish" not in ended.err
    assert not (rendered / "publish").exists()


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (403, "AccessDenied", "may not look at it in the bucket clusters"),
        (404, "NoSuchBucket", "there is no bucket clusters"),
        (301, "PermanentRedirect", "the bucket clusters is in another region"),
        (503, "SlowDown", "the bucket clusters cannot answer now (SlowDown), also after 6 attempts"),
        (403, "InvalidAccessKeyId", "AWS does not accept the credentials"),
        (400, "KMS.DisabledException", "KMS refuses to look at it"),
    ],
)
def test_each_refusal_is_one_sentence(aws, status, code, sentence):
    from botocore.exceptions import ClientError

    from kgen.errors import KgenError
    from kgen.publishing.bucket import Bucket

    bucket = Bucket(BUCKET)
    with pytest.raises(KgenError) as caught, bucket._refusals.to("look at it"):
        raise ClientError({"Error": {"Code": code, "Message": "m"}}, "HeadBucket")
    assert sentence in caught.value.message
    assert caught.value.hint


def test_a_missing_bucket_a_wrong_region_and_no_credentials(aws, rendered, kgen, monkeypatch):
    ended = kgen("publish", "prod.yaml", "--bucket", "nowhere")
    assert (ended.code, "there is no bucket nowhere" in ended.err) == (2, True)
    ended = kgen(*PUBLISH, "--region", "us-east-2")
    assert (ended.code, "the bucket clusters is in the region eu-central-1, not in us-east-2" in ended.err) == (2, True)
    ended = kgen("publish", "prod.yaml", "--bucket", "no/bucket")
    assert (ended.code, "the bucket no/bucket cannot be used so" in ended.err) == (2, True)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    ended = kgen(*PUBLISH)
    assert (ended.code, "there are no AWS credentials" in ended.err) == (2, True)


def test_an_endpoint_that_does_not_answer_is_a_sentence(aws, rendered, kgen, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("kgen.publishing.aws.ATTEMPTS", 1)
    ended = kgen(*PUBLISH)
    assert (ended.code, ended.err.count("error: the bucket clusters does not answer")) == (1, 1)


def test_the_bucket_of_another_account_is_refused(aws, rendered, kgen, monkeypatch):
    from kgen.publishing.bucket import Bucket

    sent = []
    bucket = Bucket(BUCKET)
    bucket._client.meta.events.register("before-send.s3", lambda request, **_: sent.append(request.headers))
    bucket.put("kgen/x", b"x")
    assert sent[0]["x-amz-expected-bucket-owner"] in (b"123456789012", "123456789012")
    other = boto3.client("sts").assume_role(RoleArn="arn:aws:iam::999999999999:role/other", RoleSessionName="other")
    names = {
        "AccessKeyId": "aws_access_key_id",
        "SecretAccessKey": "aws_secret_access_key",
        "SessionToken": "aws_session_token",
    }
    theirs = boto3.client("s3", **{names[key]: value for key, value in other["Credentials"].items() if key in names})
    theirs.create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": REGION})
    monkeypatch.setenv("MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS", "false")
    ended = kgen("publish", "prod.yaml", "--bucket", "theirs")
    assert ended.code == 1
    assert "or the bucket does not belong to the account 123456789012" in ended.err
    assert not (rendered / "publish").exists()


@pytest.mark.parametrize("key", [None, KEY])
def test_the_kms_key_is_used(aws, rendered, kgen, key):
    assert kgen(*PUBLISH, *(("--kms-key", key) if key else ())).code == 0
    for name in keys(aws):
        assert aws.head_object(Bucket=BUCKET, Key=name).get("SSEKMSKeyId") == key or key is None
    ended = kgen(*PUBLISH, "--kms-key", "alias/mine")
    assert (ended.code, "is not the ARN of a KMS key" in ended.err) == (2, True)


def test_policies_are_the_least(kgen, here):
    found = json.loads(kgen(*PUBLISH, "--kms-key", KEY, "--print-policies").out)
    assert set(found) == {"master", "node", "publisher"}
    for who in ("master", "node"):
        read, decrypt = found[who]["Statement"]
        assert read == {
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": f"arn:aws:s3:::clusters/kgen/prod/{who}/*",
        }
        assert (decrypt["Action"], decrypt["Resource"]) == (["kms:Decrypt"], KEY)
        assert decrypt["Condition"] == {"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}
    assert all("*" not in action for who in found.values() for each in who["Statement"] for action in each["Action"])
    without = json.loads(kgen(*PUBLISH, "--print-policies").out)
    assert len(without["node"]["Statement"]) == 1


@pytest.mark.parametrize("path", ["m1", "w1"])
def test_a_changed_object_does_not_run(aws, published, metadata, tmp_path, path):
    (key,) = [key for key in keys(aws) if f"/{path}/" in key]
    aws.put_object(Bucket=BUCKET, Key=key, Body=b"print('taken over')")
    code, said, at = boot(published, path, metadata, tmp_path)
    assert code == 1
    assert "is not what was published" in said
    assert "taken over" not in said
    assert not at.exists()


def test_no_role_and_no_object_are_sentences_and_tried_again(aws, published, kgen, metadata, tmp_path):
    metadata.role = None
    code, said, _ = boot(published, "w1", metadata, tmp_path)
    assert code == 1
    assert said.count("the instance has no role, or nothing is published there") == 61
    metadata.role = ("machines", {"AccessKeyId": "ASIA", "SecretAccessKey": "key", "Token": "session"})
    for key in keys(aws):
        aws.delete_object(Bucket=BUCKET, Key=key)
    code, said, _ = boot(published, "w1", metadata, tmp_path, **{"range(60": "range(2"})
    assert (code, said.count("HTTP Error 404")) == (1, 3)


def test_an_answer_that_was_cut_off_is_asked_for_again(published, metadata, tmp_path):
    metadata.cuts = 2
    code, said, _ = boot(published, "w1", metadata, tmp_path)
    assert (code, said.count("IncompleteRead"), "Traceback" in said) == (0, 2, False), said


class Text(io.BytesIO):
    """The text of a server; or what comes of reading it, in place of bytes."""

    def __init__(self, text):
        super().__init__(text if isinstance(text, bytes) else b"")
        self.problem = None if isinstance(text, bytes) else text

    def read(self, size=-1):
        if self.problem:
            raise self.problem
        return super().read(size)


class Answers:
    """A stand-in for ``urlopen``: answers in order; a number is an HTTP error, also with the server's text."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, request, timeout):
        answer = self.answers.pop(0)
        if request.full_url.startswith(IMDS + "meta-data/"):
            assert request.full_url in (ROLES, f"{ROLES}machines")
        if isinstance(answer, int | tuple):
            code, text = answer if isinstance(answer, tuple) else (answer, b"")
            raise urllib.error.HTTPError(request.full_url, code, "refused", {}, Text(text))
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)


IMDS = "http://169.254.169.254/latest/"
ROLES = f"{IMDS}meta-data/iam/security-credentials/"
BEGINNING = b"<Error><Code>AuthorizationHeaderMalformed</Code>"
ROLE = (
    b"token",
    b"machines",
    b"token",
    json.dumps({"AccessKeyId": "A", "SecretAccessKey": "s", "Token": "t"}).encode(),
)


@pytest.mark.parametrize(
    ("answers", "code", "sentence"),
    [
        ((TimeoutError("timed out"), *ROLE, b"x"), None, f"kgen: {IMDS} timed out"),
        ((*ROLE, TimeoutError("timed out"), *ROLE, b"x"), None, "kgen: https://b.s3."),
        ((*ROLE, 503, *ROLE, b"x"), None, "HTTP Error 503"),
        ((*ROLE, 403, *ROLE, b"x"), None, "the instance's role may not read it"),
        ((*ROLE, 301), 1, "the bucket is in another region"),
        ((*ROLE, (400, BEGINNING + b"x" * 600), *ROLE, b"x"), None, BEGINNING.decode() + "x"),
        ((*ROLE, (500, http.client.IncompleteRead(b"")), *ROLE, b"x"), None, "HTTP Error 500"),
        ((b"token", b"machines\nothers", *ROLE[2:], b"x"), None, ""),
        ((b"token", b"machines", b"token", b"no json", *ROLE, b"x"), None, "Expecting value"),
    ],
)
def test_what_may_pass_is_tried_again(capsys, monkeypatch, answers, code, sentence):
    names = {}
    exec(compile(program.joined(("aws", "fetch"), with_comments=True), "fetch.py", "exec"), names)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(urllib.request, "urlopen", Answers(*answers))
    url = "https://b.s3.eu-central-1.amazonaws.com/k/" + hashlib.sha256(b"x").hexdigest()
    if code is None:
        assert names["fetch"](IMDS, REGION, url) == "x"
    else:
        with pytest.raises(SystemExit) as ended:
            names["fetch"](IMDS, REGION, url)
        assert ended.value.code == code
    said = capsys.readouterr().out
    assert sentence in said
    assert "x" * 300 not in said


@pytest.mark.parametrize("words", [PUBLISH, ("publish", "prod.yaml", "--to", "secretsmanager")])
def test_a_stub_does_not_print_how_aws_explains_a_wrong_signature(
    aws, front, rendered, kgen, metadata, tmp_path, words
):
    """AWS repeats what was signed, and the token of the session in it."""
    assert kgen(*words).code == 0
    told = "The request signature we calculated does not match the signature you provided. ".ljust(240, ".")
    signed = "POST\n/\n\ncontent-type:application/x-amz-json-1.1\nhost:127.0.0.1\nx-amz-content-sha256:".ljust(170, "0")
    front.answer = lambda operation: (403, {}, f"{told}{signed}\nx-amz-security-token:session".encode())
    code, said, _ = boot(rendered, "w1", metadata, tmp_path, **{"range(60": "range(0"})
    assert (code, told[:40] in said, "session" in said.replace("the session", "")) == (1, True, False), said


def test_the_fetching_program_runs_on_the_oldest_python_of_images():
    import ast

    for name in ("aws", "fetch", "fetch_secret", "unpack"):
        ast.parse(resources.runner_source(name), feature_version=(3, 9))
    assert Path(resources.__file__).exists()
    assert boto3.__version__


@pytest.fixture
def only_allowed(moto):
    """Return a function that makes moto check signatures and policies from now on."""

    def check(count):
        headers = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(f"{moto}/moto-api/reset-auth", count.encode(), headers, method="POST")
        urllib.request.urlopen(request).read()

    yield lambda: check("0")
    check("inf")


def test_the_printed_policies_are_enough_and_no_more(
    aws, rendered, kgen, monkeypatch, metadata, tmp_path, only_allowed
):
    found = json.loads(kgen(*PUBLISH, "--print-policies").out)
    iam, sts = boto3.client("iam"), boto3.client("sts")
    anybody = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}],
    }
    # AWS allows HeadBucket by s3:ListBucket; moto wants an action that AWS does not have.
    found["publisher"]["Statement"].append({"Effect": "Allow", "Action": "s3:HeadBucket", "Resource": "*"})
    sessions = {}
    for who, policy in found.items():
        role = iam.create_role(RoleName=who, AssumeRolePolicyDocument=json.dumps(anybody))["Role"]
        iam.put_role_policy(RoleName=who, PolicyName=who, PolicyDocument=json.dumps(policy))
        sessions[who] = sts.assume_role(RoleArn=role["Arn"], RoleSessionName=who)["Credentials"]
    publisher = sessions["publisher"]
    for name, key in (
        ("ACCESS_KEY_ID", "AccessKeyId"),
        ("SECRET_ACCESS_KEY", "SecretAccessKey"),
        ("SESSION_TOKEN", "SessionToken"),
    ):
        monkeypatch.setenv(f"AWS_{name}", publisher[key])
    only_allowed()
    ended = kgen(*PUBLISH)
    assert ended.code == 0, ended.err
    assert kgen(*PUBLISH).code == 0
    for who, machine, may in (
        ("master", "m1", True),
        ("node", "w1", True),
        ("node", "m1", False),
        ("master", "w1", False),
    ):
        keys_of = sessions[who]
        metadata.role = (
            who,
            {**{k: keys_of[k] for k in ("AccessKeyId", "SecretAccessKey")}, "Token": keys_of["SessionToken"]},
        )
        code, said, _ = boot(
            rendered, machine, metadata, tmp_path / f"{who}-{machine}", **({} if may else {"range(60": "range(0"})
        )
        assert (code, "the instance's role may not read it" in said) == ((0, False) if may else (1, True)), said
    keys_of = {**sessions["node"], "SecretAccessKey": "wrong"}
    metadata.role = (
        "node",
        {**{k: keys_of[k] for k in ("AccessKeyId", "SecretAccessKey")}, "Token": keys_of["SessionToken"]},
    )
    code, said, _ = boot(rendered, "w1", metadata, tmp_path / "wrong", **{"range(60": "range(0"})
    assert (code, "HTTP Error 403" in said) == (1, True)
