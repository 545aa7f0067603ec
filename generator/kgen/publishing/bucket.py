"""A bucket of S3: objects named by their content are put once, and removed with all their versions.

Credentials come by boto3's own chain only. Each refusal becomes one sentence and a hint.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection
from typing import Any

from kgen.errors import InputError, KgenError
from kgen.publishing import aws
from kgen.user_data.stub import Store

_MOST_AT_ONCE = 1000  # keys in a DeleteObjects request


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
            config = aws.config()
            first = session.client("s3", region_name=region or session.region_name or "us-east-1", config=config)
            self._owner = self._owner or self._account(session, first)
            found = self._head(first)
            if region and found and found != region:
                raise InputError(
                    f"the bucket {name} is in the region {found}, not in {region}", f"use --region {found}"
                )
            self.region = found or first.meta.region_name
            self._client = session.client("s3", region_name=self.region, config=config)
            self.partition = str(self._client.meta.partition)
            sample = self._client.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "x"})
        self.store = Store(sample.partition("?")[0].rpartition("/x")[0], self.region)

    def _account(self, session: Any, client: Any) -> str:
        """Return the account of the credentials; empty with a warning if it cannot be found out."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        config = aws.config(attempts=2, timeout=10)
        try:
            answer = session.client("sts", region_name=client.meta.region_name, config=config).get_caller_identity()
            return str(answer["Account"])
        except NoCredentialsError:
            raise
        except (ClientError, BotoCoreError, KeyError):
            self.warnings = (
                f"whose bucket {self.name} is was not checked, because STS does not say whose the credentials are; "
                "--bucket-owner ACCOUNT checks it",
            )
            return ""

    def _head(self, client: Any) -> str:
        """Return the region of the bucket, empty if the server does not say it."""
        answer = client.head_bucket(Bucket=self.name, **self._expected)
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        return str(answer.get("BucketRegion") or headers.get("x-amz-bucket-region", ""))

    @property
    def _expected(self) -> dict[str, str]:
        """Return the argument with which S3 refuses a bucket of another account."""
        return {"ExpectedBucketOwner": self._owner} if self._owner else {}

    def has(self, key: str, content: bytes) -> bool:
        """Return whether the object is there with this content, encrypted with the wanted key."""
        from botocore.exceptions import ClientError

        with self._refusals.to(f"read {key}"):
            try:
                found = self._client.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED", **self._expected)
            except ClientError as error:
                if aws.code_of(error) in ("404", "NoSuchKey", "NotFound"):
                    return False
                raise
            if found.get("ContentLength") != len(content) or found.get("ServerSideEncryption") != "aws:kms":
                return False
            if self.kms_key and found.get("SSEKMSKeyId") != self.kms_key:
                return False
            if "ChecksumSHA256" in found:
                return bool(found["ChecksumSHA256"] == _sha256(content))
            # Not every server that speaks S3 keeps checksums.
            there = self._client.get_object(Bucket=self.name, Key=key, **self._expected)
            return bool(there["Body"].read() == content)

    def put(self, key: str, content: bytes) -> None:
        """Put the object, encrypted with KMS. S3 refuses it if it arrives damaged."""
        key_id = {"SSEKMSKeyId": self.kms_key} if self.kms_key else {}
        with self._refusals.to(f"write {key}"):
            self._client.put_object(
                Bucket=self.name,
                Key=key,
                Body=content,
                ContentType="text/x-python",
                ServerSideEncryption="aws:kms",
                ChecksumSHA256=_sha256(content),
                **key_id,
                **self._expected,
            )

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
        for start in range(0, len(versions), _MOST_AT_ONCE):
            some = versions[start : start + _MOST_AT_ONCE]
            with self._refusals.to(f"delete below {prefix}"):
                answer = self._client.delete_objects(
                    Bucket=self.name, Delete={"Objects": some, "Quiet": True}, **self._expected
                )
            for failed in answer.get("Errors", ()):
                what, code = f"delete {failed['Key']}", str(failed.get("Code"))
                raise self._refusals.sentence(what, code, str(failed.get("Message")))

    def _explain(self, what: str, code: str, message: str) -> KgenError | None:
        """Return the sentence for what only a bucket refuses."""
        if code in ("404", "NoSuchBucket"):
            hint = "check the name, or create the bucket: kgen does not create buckets"
            return InputError(f"there is no bucket {self.name}", hint)
        if code in ("301", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"):
            return InputError(f"the bucket {self.name} is in another region", "give its region with --region")
        if code in aws.DENIED and self._owner:
            owner = f"or the bucket does not belong to the account {self._owner}"
            return KgenError(f"the credentials may not {what} in the bucket {self.name}, {owner}", aws.HINT_DENIED)
        if code.startswith("KMS"):
            return KgenError(f"KMS refuses to {what}: {code}: {message}", f"check the key {self.kms_key or 'aws/s3'}")
        return None


def _sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()
