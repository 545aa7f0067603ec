"""What `kgen publish` says when a server on the way to AWS, or one that only speaks S3, answers as AWS never does."""

import json
import shutil

import boto3
import pytest
from tests.unit.publishing.conftest import BUCKET
from tests.unit.publishing.test_publish import PUBLISH, keys

from kgen.errors import KgenError
from kgen.publishing.launch_templates import LaunchTemplates

SECRETS = ("publish", "prod.yaml", "--to", "secretsmanager")
TOKEN = "the/token/of/the/session=="


def xml(code, message="a message"):
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def canonical(code):
    """Return an error as AWS explains a wrong signature: with the headers that were signed."""
    return json.dumps({"__type": code, "message": f"The Canonical String … 'x-amz-security-token:{TOKEN}'"}).encode()


def always(status, headers=None, body=b""):
    return lambda operation: (status, headers or {}, body)


def to_s3(status, headers=None, body=b""):
    """Return answers to what S3 is asked; STS is asked by POST."""
    return lambda operation: None if operation == "POST /" else (status, headers or {}, body)


ANSWERS = {
    "a redirect": (always(301, {}, xml("PermanentRedirect")), "redirected without an end"),
    "a redirect to itself": (always(307, {"Location": f"/{BUCKET}"}), "redirected without an end"),
    "a page to log in": (always(302, {"Location": "https://login.example.com/"}), "redirected without an end"),
    "a redirect to a region": (always(301, {"x-amz-bucket-region": "us-west-2"}), "is in another region"),
    "a wrong region": (to_s3(400, {}, xml("AuthorizationHeaderMalformed")), "is in another region"),
    "expired credentials": (to_s3(400, {}, xml("ExpiredToken")), "AWS does not accept the credentials: ExpiredToken"),
    "a wrong key": (to_s3(403, {}, xml("SignatureDoesNotMatch")), "AWS does not accept the credentials"),
    "a wrong clock": (to_s3(403, {}, xml("RequestTimeTooSkewed")), "AWS refuses the time of this computer"),
    "a failure": (to_s3(500, {}, xml("InternalError")), "cannot answer now (InternalError)"),
    "a proxy's failure": (to_s3(502, {}, b"<html>bad gateway</html>"), "cannot answer now (502)"),
    "no bucket": (to_s3(404, {}, xml("NoSuchBucket")), f"there is no bucket {BUCKET}"),
    "a feature that it lacks": (to_s3(501, {}, xml("NotImplemented")), f"the server of the bucket {BUCKET} cannot"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_each_answer_is_a_sentence_and_nothing_is_published(front, rendered, kgen, answer):
    front.answer, sentence = ANSWERS[answer]
    ended = kgen(*PUBLISH)
    assert ended.code in (1, 2), ended
    assert sentence in ended.err
    assert "hint: " in ended.err
    assert front.asked < 40
    assert not (rendered / "publish").exists()
    front.answer = lambda operation: None
    assert kgen(*PUBLISH).code == 0


@pytest.mark.parametrize("answer", [(200, {}, b""), (400, {}, b"oops"), (302, {}, b""), (404, {}, b"<html></html>")])
def test_a_server_without_sts_is_a_warning(front, rendered, kgen, answer):
    front.answer = lambda operation: answer if operation == "POST /" else None
    ended = kgen(*PUBLISH)
    assert ended.code == 0, ended.err
    assert "warning: whose bucket clusters is was not checked" in ended.err


@pytest.mark.parametrize("operation", [f"PUT /{BUCKET}/kgen", f"GET /{BUCKET}/kgen"])
def test_what_fails_after_the_first_object_is_completed_by_the_next_run(aws, front, rendered, kgen, operation):
    seen = []

    def fail(asked):
        seen.append(asked.startswith(operation))
        return (500, {}, b"oops") if seen.count(True) > 1 and seen[-1] else None

    front.answer = fail
    ended = kgen(*PUBLISH)
    assert ended.code == 1, ended
    assert len(keys(aws)) == 1
    assert not (rendered / "publish").exists()
    front.answer = lambda operation: None
    assert "2 objects put, 1 unchanged" in kgen(*PUBLISH).out
    front.answer = lambda operation: (500, {}, b"oops") if operation.startswith("DELETE") else None
    assert kgen("unpublish", "prod.yaml").code == 1
    assert len(keys(aws)) == 3
    front.answer = lambda operation: None
    assert kgen("unpublish", "prod.yaml").code == 0
    assert keys(aws) == []


@pytest.mark.parametrize("code", ["InvalidSignatureException", "InvalidSignature"])
def test_the_token_of_a_session_is_in_no_message(front, rendered, kgen, code):
    front.answer = always(403, {"Content-Type": "application/x-amz-json-1.1"}, canonical(code))
    ended = kgen(*SECRETS)
    assert (ended.code, TOKEN in ended.err) == (2, False)
    assert f"AWS does not accept the credentials: {code}" in ended.err


def test_services_without_xml_say_that_the_clock_is_wrong(front, rendered, kgen):
    said = {"__type": "InvalidSignatureException", "message": "Signature expired: 20261130T000000Z is now earlier than"}
    front.answer = always(400, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(said).encode())
    assert "AWS refuses the time of this computer" in kgen(*SECRETS).err


@pytest.mark.parametrize("words", [PUBLISH, SECRETS], ids=["s3", "secretsmanager"])
@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("AWS_ENDPOINT_URL", "nowhere", "cannot be asked: Invalid endpoint: nowhere"),
        ("AWS_DEFAULT_REGION", "x y", "Provided region_name 'x y' doesn't match a supported format"),
        ("AWS_PROFILE", "nobody", "there are no AWS credentials: The config profile (nobody) could not be found"),
    ],
)
def test_a_wrong_environment_is_a_sentence(aws, rendered, kgen, monkeypatch, words, name, value, sentence):
    monkeypatch.setenv(name, value)
    ended = kgen(*words)
    assert (ended.code, sentence in ended.err) == (2, True), ended.err


@pytest.mark.parametrize("answer", [b"", b"oops", b"<a"])
def test_an_answer_of_ec2_that_cannot_be_read_is_a_sentence_without_it(front, answer):
    front.answer = always(400, {}, answer)
    with pytest.raises(KgenError) as caught:
        LaunchTemplates("prod")
    assert caught.value.message == "EC2 of eu-central-1 gives an answer that is not AWS's to: list launch templates"
    assert caught.value.hint


def without_encryption(status, headers, body):
    return status, {name: value for name, value in headers.items() if "encryption" not in name.lower()}, body


def test_a_server_that_does_not_encrypt_is_warned_of_and_gets_each_object_once(aws, front, rendered, kgen):
    front.change = without_encryption
    warning = "warning: the server of the bucket clusters does not say that it encrypts objects"
    for put in (3, 0):
        ended = kgen(*PUBLISH)
        assert (ended.code, ended.err.count(warning)) == (0, 1)
        assert f"{put} objects put" in ended.out


def test_objects_are_removed_where_versions_are_not_listed(aws, front, rendered, kgen):
    assert kgen(*PUBLISH).code == 0
    empty = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    front.answer = lambda operation: (200, {}, empty) if "versions" in operation else None
    assert kgen("unpublish", "prod.yaml").code == 0
    assert keys(aws) == []


def test_an_object_that_was_damaged_at_rest_is_put_again(aws, front, rendered, kgen):
    assert kgen(*PUBLISH).code == 0
    key = keys(aws)[0]
    front.answer = lambda operation: (
        (200, {"x-amz-checksum-crc32": "AAAAAA=="}, b"damaged")
        if operation.startswith(f"GET /{BUCKET}/{key}")
        else None
    )
    assert json.loads(kgen(*PUBLISH, "--json").out)["put"] == [key]


def test_a_bucket_that_is_gone_has_a_way_out(aws, rendered, kgen, here):
    assert kgen(*PUBLISH).code == 0
    for key in keys(aws):
        aws.delete_object(Bucket=BUCKET, Key=key)
    aws.delete_bucket(Bucket=BUCKET)
    ended = kgen("unpublish", "prod.yaml")
    assert (ended.code, "there is no bucket clusters" in ended.err) == (2, True)
    assert "if it was deleted, its objects are gone, too: remove outputs/prod, and run `kgen render prod.yaml`" in (
        ended.err
    )
    shutil.rmtree(here / "outputs/prod")
    boto3.client("s3").create_bucket(Bucket="other", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert kgen("render", "prod.yaml").code == 0
    assert kgen("publish", "prod.yaml", "--bucket", "other").code == 0
