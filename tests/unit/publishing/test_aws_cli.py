"""The AWS CLI runs the commands of the pages, and those that kgen prints, against moto's server."""

import base64
import json
import os
import re
import subprocess
import sys

import boto3
import pytest
import yaml
from tests import pages
from tests.unit.publishing.conftest import BUCKET, REGION

EC2, SEALED = pages.page("ec2.md"), pages.page("sealed-user-data.md")
EXPIRY = "2099-01-01T00:00:00Z"


@pytest.fixture
def shell(aws, here):
    """Run a line in a shell whose ``aws`` is the AWS CLI; return what it prints."""
    programs = here / "programs"
    programs.mkdir()
    (programs / "aws").write_text(f'#!/bin/sh\nexec {sys.executable} -m awscli "$@"\n')
    (programs / "aws").chmod(0o755)

    def call(line):
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        ended = subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, check=False, timeout=120, env=environment
        )
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return ended.stdout

    return call


def command(page, name, **words):
    """Return the one command of the AWS CLI with this name in a page, with ``words`` for its words in capitals."""
    (found,) = {line.strip() for line in re.findall(rf"(aws {name} [^`|\n]*)", page)}
    for word, value in words.items():
        assert word in found
        found = found.replace(word, value)
    return found


@pytest.fixture
def ec2(aws):
    """EC2 with an image, a subnet and the instance profiles of the page."""
    client, iam = boto3.client("ec2"), boto3.client("iam")
    client.image = client.register_image(Name="kgen", RootDeviceName="/dev/xvda")["ImageId"]
    vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    client.subnet = client.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    for name in ("prod-masters", "prod-nodes"):
        iam.create_instance_profile(InstanceProfileName=name)
    return client


def test_the_commands_of_the_page_about_ec2_run(ec2, shell, kgen, here):
    (here / "prod.yaml").write_text(pages.cluster_file(EC2))
    (settings,) = (json.loads(block.text) for block in pages.blocks(EC2) if block.language == "json")
    for data in settings.values():
        data.update(ImageId=ec2.image)
        del data["SecurityGroupIds"]
    (here / "ec2.json").write_text(json.dumps(settings))
    assert kgen("render", "prod.yaml").code == 0
    assert kgen("publish", "prod.yaml", "--bucket", BUCKET, "--launch-templates", "ec2.json").code == 0
    started = json.loads(shell(command(EC2, "ec2 run-instances", SUBNET=ec2.subnet)))["Instances"][0]
    assert (started["ImageId"], started["PrivateIpAddress"]) == (ec2.image, "10.0.0.11")
    instance = started["InstanceId"]
    shell(command(EC2, "ec2 associate-iam-instance-profile", INSTANCE=instance))
    shell(command(EC2, "ec2 modify-instance-metadata-options", INSTANCE=instance))
    shell(command(EC2, "ec2 get-console-output", INSTANCE=instance))
    boto3.client("ssm").put_parameter(Name="/kgen/prod/node/workers/token", Value="x", Type="SecureString")
    shell(command(EC2, "ssm delete-parameter"))
    assert boto3.client("ssm").describe_parameters()["Parameters"] == []


def test_the_commands_of_the_page_make_the_load_balancer_of_the_masters(ec2, shell):
    (vpc,) = (each["VpcId"] for each in ec2.describe_subnets(SubnetIds=[ec2.subnet])["Subnets"])
    made = json.loads(shell(command(EC2, "elbv2 create-target-group", VPC=vpc)))["TargetGroups"][0]
    targets = {"TARGET_GROUP": made["TargetGroupArn"]}
    shell(command(EC2, "elbv2 register-targets", **targets))
    made = json.loads(shell(command(EC2, "elbv2 create-load-balancer", SUBNET=ec2.subnet)))["LoadBalancers"][0]
    assert (made["Type"], made["Scheme"]) == ("network", "internal")
    assert made["DNSName"]
    shell(command(EC2, "elbv2 create-listener", LOAD_BALANCER=made["LoadBalancerArn"], **targets))
    client = boto3.client("elbv2")
    health = client.describe_target_health(TargetGroupArn=targets["TARGET_GROUP"])["TargetHealthDescriptions"]
    masters = {machine["address"] for machine in yaml.safe_load(pages.cluster_file(EC2))["machines"]}
    assert {each["Target"]["Id"] for each in health} == masters
    (listener,) = client.describe_listeners(LoadBalancerArn=made["LoadBalancerArn"])["Listeners"]
    assert (listener["Protocol"], listener["Port"]) == ("TCP", 6443)


@pytest.mark.parametrize("machine", ["w1", "workers"])
def test_the_command_that_kgen_attach_prints_starts_a_machine_with_its_stub(ec2, shell, kgen, here, machine):
    with (here / "prod.yaml").open("a") as file:
        file.write("provider: ec2\nuserData: {secrets: byReference}\n")
    assert kgen("render", "prod.yaml").code == kgen("publish", "prod.yaml", "--bucket", BUCKET).code == 0
    line = kgen("attach", "prod.yaml", machine).out
    words = {"AMI": ec2.image, "INSTANCE_TYPE": "t3.large", "SUBNET": ec2.subnet, "INSTANCE_PROFILE": "prod-nodes"}
    for word, value in words.items():
        line = re.sub(rf"\b{word}\b", value, line)
    started = json.loads(shell(line))["Instances"][0]
    assert started["PrivateIpAddress"] == "10.0.0.21" or machine == "workers"
    told = ec2.describe_instance_attribute(InstanceId=started["InstanceId"], Attribute="userData")["UserData"]["Value"]
    stub = (here / f"outputs/prod/publish/user-data/{machine}.yaml.gz").read_bytes()
    assert base64.b64decode(told) == stub
    profiles = ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    assert [each["IamInstanceProfile"]["Arn"].rpartition("/")[2] for each in profiles] == ["prod-nodes"]


def test_the_key_of_a_sealed_document_goes_through_parameter_store(shell, kgen, here, metadata, monkeypatch):
    (here / "prod.yaml").write_text(pages.cluster_file(SEALED))
    assert kgen("render", "prod.yaml").code == 0
    for _ in range(2):  # the key may be replaced
        shell(command(SEALED, "ssm put-parameter"))
    (found,) = boto3.client("ssm").describe_parameters()["Parameters"]
    assert (found["Name"], found["Type"]) == ("/kgen/prod/m1", "SecureString")
    # On the machine nothing names a key or, without --region, a region: only the metadata service gives out the key.
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
    metadata.role = (metadata.role[0], {**metadata.role[1], "Code": "Success", "Expiration": EXPIRY})
    (block,) = (block.text for block in pages.blocks(SEALED) if "runcmd" in block.text)
    (line,) = yaml.safe_load(block)["cloudInit"]["runcmd"]
    path = here / "seal.key"
    assert "--region REGION" in line
    shell(line.replace("/etc/kgen/seal.key", str(path)).replace("REGION", REGION))
    assert path.read_bytes().strip() == (here / "outputs/prod/sealed/m1.key").read_bytes().strip()
    assert path.stat().st_mode & 0o777 == 0o600
    subprocess.run(["openssl", "pkey", "-in", path, "-noout"], check=True)


def test_a_secret_that_waits_for_its_removal_is_restored_by_the_command_in_the_hint(rendered, shell, kgen):
    publish = ("publish", "prod.yaml", "--to", "secretsmanager")
    assert kgen(*publish).code == 0
    secrets = boto3.client("secretsmanager")
    (name,) = (each["Name"] for each in secrets.list_secrets()["SecretList"] if "/w1/" in each["Name"])
    secrets.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    for words in ((*publish, "--dry-run"), publish):
        ended = kgen(*words)
        assert (ended.code, f"the secret {name} was deleted" in ended.err) == (2, True), ended
    shell(re.search("`(aws .*?)`", ended.err)[1])
    assert "3 unchanged" in kgen(*publish).out
