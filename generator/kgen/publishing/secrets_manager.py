"""Secrets Manager as the place of payloads: a secret for each object, with the object's key as its name."""

from __future__ import annotations

import zlib
from collections.abc import Collection

from kgen.errors import InputError
from kgen.publishing import aws
from kgen.user_data import document
from kgen.user_data.stub import Store

LIMIT_BYTES = 65_536
"""https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html. A master's gzip has 25,000."""


class SecretsManager:
    """The secrets of the caller's account in one region."""

    def __init__(self, *, region: str = "", kms_key: str = "") -> None:
        """Find the region. ``region``: in place of the region of the environment.

        Raises:
            InputError: no region is named.
        """
        self._service = aws.Service("secretsmanager", "Secrets Manager", region)
        self._kms_key = kms_key
        self.region = self._service.region
        self.url = f"secretsmanager://{self.region}"
        self.warnings: tuple[str, ...] = ()
        self.store = Store(str(self._service.client.meta.endpoint_url), self.region, "secretsmanager")

    def has(self, key: str, content: bytes) -> bool:
        """Return whether the secret is there with this content, encrypted with the wanted key.

        Raises:
            InputError: the content is too large, or the secret waits for its removal.
        """
        compressed = document.compressed(content)
        if len(compressed) > LIMIT_BYTES:
            message = f"{key.rpartition('/')[0]} has {len(compressed):,} bytes, Secrets Manager takes {LIMIT_BYTES:,}"
            raise InputError(message, "publish to S3: --to s3 --bucket BUCKET")
        client = self._service.client
        with self._service.refusals.to(f"read {key}"):
            try:
                found = client.describe_secret(SecretId=key)
                if found.get("DeletedDate"):
                    # AWS neither reads it nor makes another one of this name until its recovery window has ended.
                    restore = f"aws secretsmanager restore-secret --region {self.region} --secret-id {key}"
                    message = f"the secret {key} was deleted, and AWS has not removed it yet"
                    raise InputError(message, f"run `{restore}`, then the same command again")
                if self._kms_key and found.get("KmsKeyId") != self._kms_key:
                    return False
                there = client.get_secret_value(SecretId=key).get("SecretBinary", b"")
            except client.exceptions.ResourceNotFoundException:
                return False
        try:
            return zlib.decompress(there, wbits=31) == content
        except zlib.error:
            return False

    def put(self, key: str, content: bytes) -> None:
        """Make the secret, or give it this content."""
        client = self._service.client
        told = {"SecretBinary": document.compressed(content), **({"KmsKeyId": self._kms_key} if self._kms_key else {})}
        with self._service.refusals.to(f"write {key}"):
            try:
                client.create_secret(Name=key, Description="What a machine is told, by kgen publish", **told)
            except client.exceptions.ResourceExistsException:
                client.update_secret(SecretId=key, **told)

    def keys(self, prefix: str) -> list[str]:
        """Return nothing: listing needs a permission for all secrets of the account."""
        return []

    def remove(self, keys: Collection[str], prefix: str) -> None:
        """Delete these secrets at once: they can be published again."""
        client = self._service.client
        for key in sorted(keys):
            with self._service.refusals.to(f"delete {key}"):
                try:
                    client.delete_secret(SecretId=key, ForceDeleteWithoutRecovery=True)
                except client.exceptions.ResourceNotFoundException:
                    continue
