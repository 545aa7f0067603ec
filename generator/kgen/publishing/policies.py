"""The IAM policies of the published road, with the least privilege: for masters, for nodes, for the publisher.

Sources: the Service Authorization Reference of Amazon S3 and AWS KMS; "Protecting data with SSE-KMS" in the S3 user
guide, which says that a reader needs kms:Decrypt and a writer kms:GenerateDataKey.
"""

from __future__ import annotations

from typing import Any

from kgen.publishing.launch_templates import CLUSTER_TAG

Policy = dict[str, Any]


def policies(bucket: str, prefix: str, *, kms_key: str = "", region: str = "") -> dict[str, Policy]:
    """Return the policies by who needs each. Keys of objects begin with ``prefix`` and the role.

    Without ``kms_key`` the bucket is encrypted with the key aws/s3, whose own policy admits the account.
    """
    partition = kms_key.split(":")[1] if kms_key else _partition(region)
    arn = f"arn:{partition}:s3:::{bucket}"
    return {
        "master": _policy(_reader(arn, f"{prefix}master/*"), *_key(kms_key, "kms:Decrypt")),
        "node": _policy(_reader(arn, f"{prefix}node/*"), *_key(kms_key, "kms:Decrypt")),
        "publisher": _policy(
            _statement(
                ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"), f"{arn}/{prefix}*"
            ),
            _statement(("s3:ListBucket", "s3:ListBucketVersions"), arn),
            *_key(kms_key, "kms:Decrypt", "kms:GenerateDataKey"),
        ),
    }


def launch_templates(cluster: str, region: str = "") -> list[Policy]:
    """Return the publisher's statements for launch templates: it changes those with the cluster's tag only."""
    every = f"arn:{_partition(region)}:ec2:{region or '*'}:*:launch-template/*"
    create = _statement(("ec2:CreateLaunchTemplate", "ec2:CreateTags"), every)
    change = ("ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate", "ec2:DeleteLaunchTemplate")
    return [
        _statement(("ec2:DescribeImages", "ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"), "*"),
        {**create, "Condition": {"StringEquals": {f"aws:RequestTag/{CLUSTER_TAG}": cluster}}},
        {**_statement(change, every), "Condition": {"StringEquals": {f"aws:ResourceTag/{CLUSTER_TAG}": cluster}}},
    ]


def _reader(arn: str, keys: str) -> Policy:
    return _statement(("s3:GetObject",), f"{arn}/{keys}")


def _key(kms_key: str, *actions: str) -> list[Policy]:
    """Return the statement for the KMS key, which may be used through S3 only."""
    if not kms_key:
        return []
    dns = "amazonaws.com.cn" if kms_key.split(":")[1] == "aws-cn" else "amazonaws.com"
    condition = {"StringEquals": {"kms:ViaService": f"s3.{kms_key.split(':')[3]}.{dns}"}}
    return [{**_statement(actions, kms_key), "Condition": condition}]


def _statement(actions: tuple[str, ...], resource: str) -> Policy:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def _policy(*statements: Policy) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _partition(region: str) -> str:
    for start, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region.startswith(start):
            return partition
    return "aws"
