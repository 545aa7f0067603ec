"""``kgen publish --launch-templates``: templates of EC2 over HTTP, made and changed only when content changed."""

import base64
import json
import subprocess
import sys

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError as MotoError
from moto.ec2.models import launch_templates as moto_templates
from moto.ec2.responses import EC2Response as MotoResponses
from tests.unit.publishing.conftest import BUCKET, REGION

from kgen.errors import InputError, KgenError
from kgen.publishing.launch_templates import LaunchTemplates

PUBLISH = ("publish", "prod.yaml", "--bucket", BUCKET)
TEMPLATES = (*PUBLISH, "--launch-templates", "ec2.json")
SETTINGS = {
    "master": {"IamInstanceProfile": {"Name": "masters"}, "InstanceType": "m7i.large"},
    "node": {"IamInstanceProfile": {"Name": "nodes"}, "MetadataOptions": {"InstanceMetadataTags": "enabled"}},
    "workers": {
        "InstanceType": "m7i.xlarge",
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "a"}]}],
    },
}
NAMES = ["kgen/prod/m1", "kgen/prod/w1", "kgen/prod/workers"]


@pytest.fixture
def ec2(aws, rendered, here):
    """EC2 with nothing in it, and a file with what the user says of the templates."""
    (here / "ec2.json").write_text(json.dumps(SETTINGS))
    return boto3.client("ec2")


@pytest.fixture
def baked(ec2, kgen, rendered):
    """The recipe of the image, and the id of the AMI that is made by it."""
    assert kgen("bake", "prod.yaml").code == 0
    recipe = json.loads((rendered / "kgen.lock.json").read_text())["sections"]["bake"]["facts"]["recipe"]
    return recipe, register(ec2, recipe)


def register(ec2, recipe, name="kgen"):
    image = ec2.register_image(Name=name, RootDeviceName="/dev/xvda")["ImageId"]
    ec2.create_tags(Resources=[image], Tags=[{"Key": "kgen:recipe", "Value": recipe}])
    return image


def names(ec2):
    return sorted(each["LaunchTemplateName"] for each in ec2.describe_launch_templates()["LaunchTemplates"])


def default(ec2, name):
    found = ec2.describe_launch_template_versions(LaunchTemplateName=name, Versions=["$Default"])
    return found["LaunchTemplateVersions"][0]


def test_each_machine_and_pool_gets_a_template(ec2, baked, kgen, rendered):
    assert kgen(*TEMPLATES).code == 0
    assert names(ec2) == NAMES
    for machine in ("m1", "w1", "workers"):
        data = default(ec2, f"kgen/prod/{machine}")["LaunchTemplateData"]
        assert data["ImageId"] == baked[1]
        stub = (rendered / f"publish/user-data/{machine}.yaml.gz").read_bytes()
        assert base64.b64decode(data["UserData"]) == stub
        options = data["MetadataOptions"]
        assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)
        (tags,) = (each["Tags"] for each in data["TagSpecifications"] if each["ResourceType"] == "instance")
        found = {tag["Key"]: tag["Value"] for tag in tags}
        assert found["kgen:cluster"] == "prod"
        assert found["kgen:machine"] == machine
        assert found.get("Name") == (None if machine == "workers" else machine)
        assert found.get("team") == ("a" if machine == "workers" else None)
    workers = default(ec2, "kgen/prod/workers")["LaunchTemplateData"]
    assert workers["IamInstanceProfile"] == {"Name": "nodes"}
    assert workers["InstanceType"] == "m7i.xlarge"
    assert workers["MetadataOptions"]["InstanceMetadataTags"] == "enabled"


def test_the_packer_template_tags_the_image(ec2, baked, rendered):
    packer = (rendered / "bake/packer/image.pkr.hcl").read_text()
    assert f'"kgen:recipe"     = "{baked[0]}"' in packer
    assert f"Key=kgen:recipe,Value={baked[0]}" in (rendered / "bake/README.md").read_text()


def test_a_version_is_made_only_when_content_changed(ec2, baked, kgen, here):
    assert kgen(*TEMPLATES).code == 0
    ended = kgen(*TEMPLATES, "--dry-run")
    assert (ended.code, ended.out) == (0, "everything is published\n")
    assert kgen(*TEMPLATES).code == 0
    assert all(default(ec2, name)["VersionNumber"] == 1 for name in NAMES)
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text.replace("10.0.0.21}", "10.0.0.21, labels: {rack: r7}}"))
    assert kgen("render", "prod.yaml").code == 0
    settings = {**SETTINGS, "master": {**SETTINGS["master"], "InstanceType": "m7i.2xlarge"}}
    (here / "ec2.json").write_text(json.dumps(settings))
    ended = kgen(*TEMPLATES, "--dry-run")
    assert "update  launch template kgen/prod/w1\n" in ended.out
    assert 'InstanceType: "m7i.large" → "m7i.2xlarge"' in ended.out
    assert "kgen/prod/workers" not in ended.out
    assert all(default(ec2, name)["VersionNumber"] == 1 for name in NAMES)
    told = json.loads(kgen(*TEMPLATES, "--json").out)["launchTemplates"]
    assert [(each["name"], each["kind"]) for each in told] == [("kgen/prod/m1", "update"), ("kgen/prod/w1", "update")]
    assert "UserData" in told[1]["fields"]
    assert [default(ec2, name)["VersionNumber"] for name in NAMES] == [2, 2, 1]


def test_a_run_that_was_cut_off_is_completed(ec2, baked, kgen, here, monkeypatch):
    assert kgen(*TEMPLATES).code == 0
    (here / "ec2.json").write_text(json.dumps({**SETTINGS, "m1": {"InstanceType": "m7i.xlarge"}}))
    found = []
    make = LaunchTemplates.make

    def cut(self, change):
        self._ec2.client.modify_launch_template = lambda **_: (_ for _ in ()).throw(
            ClientError({"Error": {"Code": "RequestLimitExceeded", "Message": ""}}, "ModifyLaunchTemplate")
        )
        found.append(change.name)
        make(self, change)

    monkeypatch.setattr(LaunchTemplates, "make", cut)
    ended = kgen(*TEMPLATES)
    assert (ended.code, "EC2 of eu-central-1 cannot answer now (RequestLimitExceeded)" in ended.err) == (1, True)
    assert found == ["kgen/prod/m1"]
    assert default(ec2, "kgen/prod/m1")["VersionNumber"] == 1
    monkeypatch.setattr(LaunchTemplates, "make", make)
    assert kgen(*TEMPLATES).code == 0
    found = ec2.describe_launch_template_versions(LaunchTemplateName="kgen/prod/m1")["LaunchTemplateVersions"]
    assert sorted(each["VersionNumber"] for each in found) == [1, 2]
    assert default(ec2, "kgen/prod/m1")["VersionNumber"] == 2


def test_unpublish_deletes_the_templates(ec2, baked, kgen, here):
    ec2.create_launch_template(LaunchTemplateName="mine", LaunchTemplateData={"ImageId": baked[1]})
    assert kgen(*TEMPLATES).code == 0
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text.replace("  - {name: w1, role: node, address: 10.0.0.21}\n", ""))
    assert kgen("render", "prod.yaml").code == 0
    assert kgen(*TEMPLATES).code == 0
    assert "deleted  launch template kgen/prod/w1" in kgen("unpublish", "prod.yaml", "--old").out
    assert names(ec2) == ["kgen/prod/m1", "kgen/prod/workers", "mine"]
    assert kgen("unpublish", "prod.yaml", "--dry-run").out.count("delete  launch template") == 2
    assert kgen("unpublish", "prod.yaml").code == 0
    assert names(ec2) == ["mine"]


@pytest.fixture
def can_delete_versions(monkeypatch):
    """Give moto the operation DeleteLaunchTemplateVersions as EC2's API reference describes it."""

    def delete(self):
        template = self.ec2_backend.get_launch_template(self._get_param("LaunchTemplateId"))
        wanted = [int(number) for number in self._get_param("Versions")]
        if template.default_version_number in wanted:
            raise MotoError("InvalidLaunchTemplateVersion.Default", "the default version cannot be deleted")
        there = {version.number for version in template.versions}
        template.versions = [version for version in template.versions if version.number not in wanted]
        gone = [number for number in wanted if number not in there]
        failed = [{"VersionNumber": it, "ResponseError": {"Code": "launchTemplateVersionDoesNotExist"}} for it in gone]
        return ActionResult({"UnsuccessfullyDeletedLaunchTemplateVersions": failed})

    def version(self, wanted):
        numbers = {"$latest": self.versions[-1].number, "$default": self.default_version_number}
        number = numbers.get(str(wanted).lower(), wanted)
        return next(each for each in self.versions if each.number == int(number))

    def create(self, data, description):
        number = self.versions[-1].number + 1 if self.versions else 1
        self.versions.append(moto_templates.LaunchTemplateVersion(self, number, data, description))
        return self.versions[-1]

    monkeypatch.setattr(MotoResponses, "delete_launch_template_versions", delete, raising=False)
    monkeypatch.setattr(moto_templates.LaunchTemplate, "get_version", version)
    monkeypatch.setattr(moto_templates.LaunchTemplate, "default_version", lambda self: version(self, "$default"))
    monkeypatch.setattr(moto_templates.LaunchTemplate, "create_version", create)


def versions(ec2, name):
    found = ec2.describe_launch_template_versions(LaunchTemplateName=name)["LaunchTemplateVersions"]
    return {each["VersionNumber"]: each.get("VersionDescription", "")[:7] for each in found}


def test_old_versions_that_kgen_made_are_deleted_on_demand(ec2, baked, kgen, here, can_delete_versions):
    mine = "kgen/prod/m1"
    for size in ("large", "xlarge"):
        (here / "ec2.json").write_text(json.dumps({**SETTINGS, "m1": {"InstanceType": f"m7i.{size}"}}))
        assert kgen(*TEMPLATES).code == 0
    for description in ("by hand", "sha256:of mine"):
        data = {"ImageId": baked[1]}
        ec2.create_launch_template_version(
            LaunchTemplateName=mine, VersionDescription=description, LaunchTemplateData=data
        )
    for size in ("2xlarge", "4xlarge"):
        (here / "ec2.json").write_text(json.dumps({**SETTINGS, "m1": {"InstanceType": f"m7i.{size}"}}))
        assert kgen(*TEMPLATES).code == 0
    ec2.modify_launch_template(LaunchTemplateName=mine, DefaultVersion="5")
    before = versions(ec2, mine)
    assert before == dict(enumerate(["sha256:", "sha256:", "by hand", "sha256:", "sha256:", "sha256:"], 1))
    ended = kgen("unpublish", "prod.yaml", "--old", "--dry-run")
    assert (ended.code, "delete  launch template kgen/prod/m1, version 1, 2\n" in ended.out) == (0, True)
    assert "kgen/prod/w1" not in ended.out
    assert versions(ec2, mine) == before
    assert json.loads(kgen("unpublish", "prod.yaml", "--old", "--json").out)["launchTemplateVersions"] == {mine: [1, 2]}
    assert list(versions(ec2, mine)) == [3, 4, 5, 6]
    assert default(ec2, mine)["VersionNumber"] == 5
    assert "version" not in kgen("unpublish", "prod.yaml", "--old").out
    assert kgen(*TEMPLATES, "--dry-run").out.count("launch template") == 1
    assert kgen(*TEMPLATES).code == 0
    assert default(ec2, mine)["VersionNumber"] == 6


def test_a_version_that_ec2_keeps_is_a_sentence(ec2, baked, kgen, here, can_delete_versions):
    assert kgen(*TEMPLATES).code == 0
    templates = LaunchTemplates("prod")
    templates.remove_versions("kgen/prod/m1", [7])  # somebody else was faster
    with pytest.raises(KgenError) as caught:
        templates.remove_versions("kgen/prod/m1", [1])
    assert caught.value.message.startswith("EC2 of eu-central-1 refuses to delete versions of the launch template")


def test_without_the_option_templates_keep_their_stubs_and_a_warning_says_so(ec2, baked, kgen):
    assert kgen(*TEMPLATES).code == 0
    ended = kgen(*PUBLISH)
    assert (ended.code, "the launch templates keep their earlier stubs" in ended.err) == (0, True)
    assert kgen("unpublish", "prod.yaml").code == 0
    assert names(ec2) == []


def test_a_template_of_somebody_else_is_refused_before_anything_is_put(ec2, aws, baked, kgen):
    ec2.create_launch_template(LaunchTemplateName="kgen/prod/w1", LaunchTemplateData={"ImageId": baked[1]})
    ended = kgen(*TEMPLATES)
    assert ended.code == 2
    assert "the launch template kgen/prod/w1 in eu-central-1 has no tag kgen:cluster=prod: not kgen's" in ended.err
    assert "Contents" not in aws.list_objects_v2(Bucket=BUCKET)


def test_no_image_two_images_and_an_image_by_its_id(ec2, aws, kgen, here, rendered):
    ended = kgen(*TEMPLATES)
    assert (ended.code, "no image was baked into outputs/prod" in ended.err) == (2, True)
    assert kgen("bake", "prod.yaml").code == 0
    recipe = json.loads((rendered / "kgen.lock.json").read_text())["sections"]["bake"]["facts"]["recipe"]
    ended = kgen(*TEMPLATES)
    assert ended.code == 2
    assert f"no AMI of this account in {REGION} has the tag kgen:recipe={recipe}" in ended.err
    one, two = register(ec2, recipe, "one"), register(ec2, recipe, "two")
    ended = kgen(*TEMPLATES)
    assert (ended.code, ", ".join(sorted([one, two])) in ended.err) == (2, True)
    assert "Contents" not in aws.list_objects_v2(Bucket=BUCKET)
    chosen = {name: {**data, "ImageId": two} for name, data in SETTINGS.items()}
    (here / "ec2.json").write_text(json.dumps(chosen))
    assert kgen(*TEMPLATES).code == 0
    assert all(default(ec2, name)["LaunchTemplateData"]["ImageId"] == two for name in NAMES)


def test_an_image_in_another_region_is_not_found(ec2, baked, kgen, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    ended = kgen(*TEMPLATES)
    assert (ended.code, "no AMI of this account in us-east-2" in ended.err) == (2, True)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    assert kgen(*TEMPLATES).code == 0
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    ended = kgen(*TEMPLATES)
    assert (ended.code, "the launch templates are in eu-central-1, not in us-east-2" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("{", ["ec2.json is not JSON: Expecting property name", "line 1 column 2"]),
        ("[]", ["ec2.json is not an object of objects"]),
        ('{"m9": {}}', ["m9 is no role, machine or pool", "m1: IamInstanceProfile is missing"]),
        (
            json.dumps({**SETTINGS, "w1": {"UserData": "eA==", "MetadataOptions": {"HttpTokens": "optional"}}}),
            ["w1: UserData is the stub: remove it", 'w1: MetadataOptions.HttpTokens is "required": remove it'],
        ),
        (
            json.dumps({**SETTINGS, "w1": {"InstanceTyp": "x", "KeyName": 7}}),
            ['Unknown parameter in input: "InstanceTyp"', "Invalid type for parameter KeyName"],
        ),
    ],
)
def test_everything_wrong_in_the_file_is_named(ec2, kgen, here, text, sentences):
    (here / "ec2.json").write_text(text)
    ended = kgen(*TEMPLATES)
    assert ended.code == 2
    for sentence in sentences:
        assert sentence in ended.err


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("UnauthorizedOperation", "the credentials may not list launch templates in EC2 of eu-central-1"),
        ("RequestLimitExceeded", "EC2 of eu-central-1 cannot answer now (RequestLimitExceeded), also after 6 attempts"),
        ("AuthFailure", "AWS does not accept the credentials: AuthFailure"),
        ("OptInRequired", "EC2 of eu-central-1 refuses to list launch templates: OptInRequired: m"),
    ],
)
def test_each_refusal_is_one_sentence(aws, code, sentence):
    templates = LaunchTemplates("prod")
    with pytest.raises(KgenError) as caught, templates._ec2.refusals.to("list launch templates"):
        raise ClientError({"Error": {"Code": code, "Message": "m"}}, "DescribeLaunchTemplates")
    assert caught.value.message == sentence
    assert caught.value.hint


def test_a_missing_region_is_a_sentence(aws, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(InputError) as caught:
        LaunchTemplates("prod")
    assert caught.value.message == "no region is named for EC2"


def test_policies_for_templates_are_printed_on_demand(kgen, here):
    without = json.loads(kgen(*PUBLISH, "--print-policies").out)["publisher"]["Statement"]
    found = json.loads(kgen(*TEMPLATES, "--region", REGION, "--print-policies").out)["publisher"]["Statement"]
    assert found[: len(without)] == without
    look, create, change = found[len(without) :]
    assert all(action.startswith("ec2:Describe") for action in look["Action"])
    every = "arn:aws:ec2:eu-central-1:*:launch-template/*"
    assert (create["Resource"], change["Resource"]) == (every, every)
    assert create["Condition"] == {"StringEquals": {"aws:RequestTag/kgen:cluster": "prod"}}
    assert change["Condition"] == {"StringEquals": {"aws:ResourceTag/kgen:cluster": "prod"}}


def test_the_help_needs_no_boto3():
    code = "import sys; from kgen.cli import publish; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
