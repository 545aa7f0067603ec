"""A bucket of S3: objects named by their content are put once, and removed with all their versions.

Credentials come by boto3's own chain only. Each refusal becomes one sentence and a hint.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection
from itertools import count
from typing import Any

from kgen.errors import InputError, KgenError
from kgen.publishing import aws
from kgen.user_data.stub import Store

_ELSEWHERE = ("301", "302", "307", "308", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
_MOST_LOOKS = 20
"""botocore looks at a bucket again after each redirect that names no region, without an end of its own."""


class NoBucketError(InputError):
    """There is no bucket of this name."""


class Bucket:
    """The bucket ``name``, which belongs to the account of the caller."""

    def __init__(self, name: str, *, region: str = "", kms_key: str = "", owner: str = "") -> None:
        """Find the bucket, its region and its owner.

        ``region``: the bucket must be in it. ``owner`` is an account; without it, it is the account of the credentials.

        Raises:
            InputError: there is no such bucket, it is in another region, or there are no credentials.
            KgenError: it is somebody else's, the permission is missing, or S3 does not answer.
        """
        self.name = name
        self.kms_key = kms_key
        self._owner = owner
        self.url = f"s3://{name}"
        self.warnings: tuple[str, ...] = ()
        self._refusals = aws.Refusals(f"the bucket {name}", self._explain)
        with self._refusals.to("look at it"):
            session = aws.session(region)
            first = self._connect(session, region or session.region_name or "us-east-1")
            self._owner = self._owner or self._account(session, first)
            found = self._head(first)
            if region and found and found != region:
                raise InputError(
                    f"the bucket {name} is in the region {found}, not in {region}", f"use --region {found}"
                )
            self.region = found or first.meta.region_name
            self._client = self._connect(session, self.region)
            self.partition = str(self._client.meta.partition)
            sample = self._client.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "x"})
        self.store = Store(sample.partition("?")[0].rpartition("/x")[0], self.region)

    def _connect(self, session: Any, region: str) -> Any:
        """Return a client that gives up when it is redirected without an end."""
        client = session.client("s3", region_name=region, config=aws.config())
        looks = count()

        def look(**_: Any) -> None:
            if next(looks) >= _MOST_LOOKS:
                raise KgenError(f"the bucket {self.name} is redirected without an end", aws.HINT_ENDPOINT)

        client.meta.events.register("before-send.s3.HeadBucket", look)
        return client

    def _account(self, session: Any, client: Any) -> str:
        """Return the account of the credentials; empty with a warning if it cannot be found out."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
        from botocore.parsers import ResponseParserError

        config = aws.config(attempts=2, timeout=10)
        try:
            answer = session.client("sts", region_name=client.meta.region_name, config=config).get_caller_identity()
            return str(answer["Account"])
        except NoCredentialsError:
            raise
        except (ClientError, BotoCoreError, ResponseParserError, KeyError):
            self._warn(
                f"whose bucket {self.name} is was not checked, because STS does not say whose the credentials are; "
                "--bucket-owner ACCOUNT checks it"
            )
            return ""

    def _warn(self, warning: str) -> None:
        if warning not in self.warnings:
            self.warnings = (*self.warnings, warning)

    def _head(self, client: Any) -> str:
        """Return the region of the bucket, empty if the server does not say it."""
        from botocore.exceptions import ClientError

        try:
            answer = client.head_bucket(Bucket=self.name, **self._expected)
        except ClientError:
            # An answer to HEAD has no body. This one has the code of the reason.
            client.list_objects_v2(Bucket=self.name, MaxKeys=1, **self._expected)
            raise
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        return str(answer.get("BucketRegion") or headers.get("x-amz-bucket-region", ""))

    @property
    def _expected(self) -> dict[str, str]:
        """Return the argument with which S3 refuses a bucket of another account."""
        return {"ExpectedBucketOwner": self._owner} if self._owner else {}

    def has(self, key: str, content: bytes) -> bool:
        """Return whether the object is there with this content, encrypted with the wanted key."""
        from botocore.exceptions import ClientError, FlexibleChecksumError

        with self._refusals.to(f"read {key}"):
            try:
                found = self._client.get_object(Bucket=self.name, Key=key, **self._expected)
                is_same = found["Body"].read() == content
            except FlexibleChecksumError:
                return False
            except ClientError as error:
                code = aws.code_of(error)
                if code in ("404", "NoSuchKey", "NotFound") or code.startswith("KMS"):
                    return False
                raise
        return is_same and self._is_encrypted(found, found.get("SSEKMSKeyId"))

    def _is_encrypted(self, answer: Any, key_id: str | None) -> bool:
        """Return whether an object is encrypted with the wanted key; warn if the server says nothing of encryption."""
        if "ServerSideEncryption" not in answer:
            self._warn(f"the server of the bucket {self.name} does not say that it encrypts objects")
            return True
        return answer["ServerSideEncryption"] == "aws:kms" and self.kms_key in ("", key_id)

    def put(self, key: str, content: bytes) -> None:
        """Put the object, encrypted with KMS. S3 refuses it if it arrives damaged."""
        key_id = {"SSEKMSKeyId": self.kms_key} if self.kms_key else {}
        with self._refusals.to(f"write {key}"):
            answer = self._client.put_object(
                Bucket=self.name,
                Key=key,
                Body=content,
                ContentType="text/x-python",
                ServerSideEncryption="aws:kms",
                ChecksumSHA256=_sha256(content),
                **key_id,
                **self._expected,
            )
        self._is_encrypted(answer, self.kms_key)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of all objects that are there and begin with ``prefix``."""
        with self._refusals.to(f"list {prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=prefix, **self._expected
            )
            return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def remove(self, keys: Collection[str], prefix: str) -> None:
        """Remove these objects, which begin with ``prefix``, with every version of them."""
        with self._refusals.to(f"list {prefix}"):
            pages = self._client.get_paginator("list_object_versions").paginate(
                Bucket=self.name, Prefix=prefix, **self._expected
            )
            versions = [
                {"Key": each["Key"], "VersionId": each["VersionId"]}
                for page in pages
                for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                if each["Key"] in keys
            ]
        for version in versions:
            self._delete(**version)
        # Some servers that speak S3 list no versions. Without versions, a key deletes its object.
        for key in sorted({*keys} & {*self.keys(prefix)}):
            self._delete(Key=key)

    def _delete(self, **which: str) -> None:
        with self._refusals.to(f"delete {which['Key']}"):
            self._client.delete_object(Bucket=self.name, **which, **self._expected)

    def _explain(self, what: str, code: str, message: str) -> KgenError | None:
        """Return the sentence for what only a bucket refuses."""
        if code in ("404", "NoSuchBucket"):
            hint = "check the name, or create the bucket: kgen does not create buckets"
            return NoBucketError(f"there is no bucket {self.name}", hint)
        if "Redirect" in code or code in _ELSEWHERE:
            hint = "give its region with --region, and check AWS_ENDPOINT_URL if it is set"
            return InputError(f"the bucket {self.name} is in another region ({code})", hint)
        if code == "NotImplemented":
            hint = "kgen needs a server that encrypts with KMS (SSE-KMS) and lists objects (ListObjectsV2) and versions"
            return InputError(f"the server of the bucket {self.name} cannot {what}: {message}", hint)
        if code in aws.DENIED and self._owner:
            owner = f"or the bucket does not belong to the account {self._owner}"
            return KgenError(f"the credentials may not {what} in the bucket {self.name}, {owner}", aws.HINT_DENIED)
        if code.startswith("KMS"):
            return KgenError(f"KMS refuses to {what}: {code}: {message}", f"check the key {self.kms_key or 'aws/s3'}")
        return None


def _sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()
