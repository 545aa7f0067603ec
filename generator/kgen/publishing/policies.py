"""The IAM policies of the published road, with the least privilege: for masters, for nodes, for the publisher.

Sources: the Service Authorization Reference of S3, Secrets Manager, EC2 and AWS KMS; "Protecting data with SSE-KMS" in
the S3 user guide, which says that a reader needs kms:Decrypt and a writer kms:GenerateDataKey.
"""

from __future__ import annotations

from typing import Any

from kgen.facts.names import token_parameter
from kgen.publishing.launch_templates import CLUSTER_TAG
from kgen.publishing.places import Target

Policy = dict[str, Any]


_READS = {"s3": ("s3:GetObject",), "secretsmanager": ("secretsmanager:GetSecretValue",)}
_WRITES = {
    "s3": ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"),
    "secretsmanager": (
        *("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "secretsmanager:CreateSecret"),
        *("secretsmanager:UpdateSecret", "secretsmanager:DeleteSecret"),
    ),
}


def policies(target: Target, prefix: str) -> dict[str, Policy]:
    """Return the policies by who needs each. Keys of objects begin with ``prefix`` and the role.

    Without a key of its own the place encrypts with the key aws/<service>, whose own policy admits the account.
    """
    partition = target.kms_key.split(":")[1] if target.kms_key else _partition(target.region)
    if target.to == "s3":
        bucket = f"arn:{partition}:s3:::{target.bucket}"
        objects, lists = f"{bucket}/", [_statement(("s3:ListBucket", "s3:ListBucketVersions"), bucket)]
    else:
        objects, lists = f"arn:{partition}:secretsmanager:{target.region or '*'}:*:secret:", []
    reads, writes, decrypt = _READS[target.to], _WRITES[target.to], _key(target, "kms:Decrypt")
    return {
        "master": _policy(_statement(reads, f"{objects}{prefix}master/*"), *decrypt),
        "node": _policy(_statement(reads, f"{objects}{prefix}node/*"), *decrypt),
        "publisher": _policy(
            _statement(writes, f"{objects}{prefix}*"), *lists, *_key(target, "kms:Decrypt", "kms:GenerateDataKey")
        ),
    }


def stored_tokens(cluster: str, region: str = "") -> tuple[Policy, Policy]:
    """Return the statement of nodes that fetch their bootstrap token, and the policy of who puts it there."""
    tokens = f"arn:{_partition(region)}:ssm:{region or '*'}:*:parameter{token_parameter(cluster, '*')}"
    return _statement(("ssm:GetParameter",), tokens), _policy(
        _statement(("ssm:GetParameter", "ssm:PutParameter"), tokens)
    )


def launch_templates(cluster: str, region: str = "") -> list[Policy]:
    """Return the publisher's statements for launch templates: it changes those with the cluster's tag only."""
    every = f"arn:{_partition(region)}:ec2:{region or '*'}:*:launch-template/*"
    create = _statement(("ec2:CreateLaunchTemplate", "ec2:CreateTags"), every)
    change = (
        *("ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"),
        *("ec2:DeleteLaunchTemplate", "ec2:DeleteLaunchTemplateVersions"),
    )
    return [
        _statement(("ec2:DescribeImages", "ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"), "*"),
        {**create, "Condition": {"StringEquals": {f"aws:RequestTag/{CLUSTER_TAG}": cluster}}},
        {**_statement(change, every), "Condition": {"StringEquals": {f"aws:ResourceTag/{CLUSTER_TAG}": cluster}}},
    ]


def _key(target: Target, *actions: str) -> list[Policy]:
    """Return the statement for the KMS key, which may be used through this service only."""
    if not target.kms_key:
        return []
    _, partition, _, region, *_ = target.kms_key.split(":")
    dns = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    condition = {"StringEquals": {"kms:ViaService": f"{target.to}.{region}.{dns}"}}
    return [{**_statement(actions, target.kms_key), "Condition": condition}]


def _statement(actions: tuple[str, ...], resource: str) -> Policy:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def _policy(*statements: Policy) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _partition(region: str) -> str:
    for start, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region.startswith(start):
            return partition
    return "aws"
