"""Launch templates of EC2, one for each machine and pool: its stub as user-data, its image, no metadata for pods.

A template gets a new version only when its content changed: the description of a version is the sha256 of its data.
By that description kgen also knows which versions it made.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from kgen.errors import InputError
from kgen.model import Machine
from kgen.publishing import aws

Data = Mapping[str, Any]
"""EC2's LaunchTemplateData."""

IMAGE_TAG = "kgen:recipe"
"""The tag of an AMI that has the sha256 of the recipe it was made by; `kgen bake` makes Packer set it."""
CLUSTER_TAG = "kgen:cluster"
_MACHINE_TAG = "kgen:machine"
_OWN = re.compile(r"sha256:[0-9a-f]{64}")
"""The descriptions of versions that kgen made."""
_MOST_AT_ONCE = 200
"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteLaunchTemplateVersions.html"""
_NO_VERSION = "launchTemplateVersionDoesNotExist"
_METADATA = {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1}
"""The stub asks by IMDSv2. With a hop limit of 1 the answers do not reach pods."""


def template_name(cluster: str, machine: str) -> str:
    """Return the name of the launch template of a machine or pool."""
    return f"kgen/{cluster}/{machine}"


def read_settings(path: Path, machines: Sequence[Machine]) -> Mapping[str, Data]:
    """Return what the user's file says of the launch template of each machine and pool: its role's keys, then its own.

    Raises:
        InputError: the file is wrong; the message names everything that is.
    """
    hint = 'write LaunchTemplateData of EC2 by role or machine: {"node": {"IamInstanceProfile": {"Name": "nodes"}}}'
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint) from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}", hint) from error
    if not isinstance(found, dict) or not all(isinstance(value, dict) for value in found.values()):
        raise InputError(f"{path} is not an object of objects", hint)
    names = {"master", "node", *(machine.name for machine in machines)}
    wrong = [f"{name} is no role, machine or pool" for name in found if name not in names]
    merged = {each.name: {**found.get(each.role, {}), **found.get(each.name, {})} for each in machines}
    wrong += [f"{name}: {problem}" for name, data in merged.items() for problem in _problems(data)]
    if wrong:
        raise InputError(f"{path}: {'; '.join(wrong)}", hint)
    return merged


def _problems(data: Data) -> Iterator[str]:
    """Yield what is wrong with the user's part of a launch template."""
    from botocore.validate import ParamValidator

    if "UserData" in data:
        yield "UserData is the stub: remove it"
    if "IamInstanceProfile" not in data:
        yield "IamInstanceProfile is missing: without a role the machine cannot fetch"
    options = data.get("MetadataOptions")
    for key, value in _METADATA.items():
        if isinstance(options, dict) and options.get(key, value) != value:
            yield f"MetadataOptions.{key} is {json.dumps(value)}: remove it"
    report = ParamValidator().validate(data, _shape())
    if report.has_errors():
        yield report.generate_report().replace("\n", ", ")


@cache
def _shape() -> Any:
    """Return the shape of LaunchTemplateData in botocore's model of EC2."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("ec2", "service-2"), "ec2").shape_for("RequestLaunchTemplateData")


@dataclass(frozen=True, slots=True)
class TemplateChange:
    """What is done to a launch template. ``fields`` are the keys of its data that change, with their values."""

    name: str
    kind: Literal["create", "update"]
    fields: tuple[str, ...]
    data: Data = field(repr=False)
    template_id: str = ""

    @property
    def digest(self) -> str:
        """Return the description of the version with this data, which ``_OWN`` matches."""
        return f"sha256:{hashlib.sha256(json.dumps(self.data, sort_keys=True).encode()).hexdigest()}"


class LaunchTemplates:
    """The launch templates of a cluster in one region. It looks before it changes anything."""

    def __init__(self, cluster: str, region: str = "") -> None:
        """Find the templates that are there. ``region``: in place of the region of the environment.

        Raises:
            KgenError: EC2 refuses, does not answer, or no region is named.
        """
        self._cluster = cluster
        self._ec2 = aws.Service("ec2", "EC2", region)
        self.region = self._ec2.region
        filters = [{"Name": "launch-template-name", "Values": [template_name(cluster, "*")]}]
        with self._ec2.refusals.to("list launch templates"):
            pages = self._ec2.client.get_paginator("describe_launch_templates").paginate(Filters=filters)
            self._there = {each["LaunchTemplateName"]: each for page in pages for each in page["LaunchTemplates"]}

    def image(self, recipe: str) -> str:
        """Return the id of the one AMI of this account and region that was made by the recipe of this sha256.

        Raises:
            InputError: there is none, or more than one.
        """
        filters = [{"Name": f"tag:{IMAGE_TAG}", "Values": [recipe]}, {"Name": "state", "Values": ["available"]}]
        with self._ec2.refusals.to("list images"):
            images = self._ec2.client.describe_images(Owners=["self"], Filters=filters)["Images"]
        found = sorted(each["ImageId"] for each in images)
        if len(found) == 1:
            return str(found[0])
        tag = f"{IMAGE_TAG}={recipe}"
        if found:
            hint = "name one as ImageId in the file of --launch-templates, or deregister the others"
            raise InputError(f"{len(found)} AMIs in {self.region} have the tag {tag}: {', '.join(found)}", hint)
        hint = "make it with Packer as bake/README.md says, copy it from another region with its tags, or give --region"
        raise InputError(f"no AMI of this account in {self.region} has the tag {tag}", hint)

    def refuse_foreign(self, machines: Sequence[Machine]) -> None:
        """Raise InputError if a template that has the name of a machine's is not this cluster's."""
        for machine in machines:
            name = template_name(self._cluster, machine.name)
            if name in self._there and not self._is_own(name):
                hint = "delete it, or rename the cluster; kgen changes only what has its tag"
                tag = f"{CLUSTER_TAG}={self._cluster}"
                raise InputError(f"the launch template {name} in {self.region} has no tag {tag}: not kgen's", hint)

    def _is_own(self, name: str) -> bool:
        return {"Key": CLUSTER_TAG, "Value": self._cluster} in self._there[name].get("Tags", ())

    def change(self, machine: Machine, settings: Data, image: str, stub: bytes) -> TemplateChange | None:
        """Return what makes the template of ``machine`` the wanted one; None: it is. Nothing is changed yet."""
        name = template_name(self._cluster, machine.name)
        data = self._data(machine, settings, image, stub)
        if name not in self._there:
            return TemplateChange(name, "create", (), data)
        template_id = self._there[name]["LaunchTemplateId"]
        default = self._version(name, "$Default")
        fields = tuple(_differing(data, default["LaunchTemplateData"]))
        change = TemplateChange(name, "update", fields, data, template_id)
        return None if default.get("VersionDescription") == change.digest else change

    def _data(self, machine: Machine, settings: Data, image: str, stub: bytes) -> Data:
        tags = {CLUSTER_TAG: self._cluster, _MACHINE_TAG: machine.name}
        if not machine.is_pool:
            tags["Name"] = machine.name
        given = {each["ResourceType"]: each.get("Tags", []) for each in settings.get("TagSpecifications", ())}
        kept = [tag for tag in given.get("instance", ()) if tag.get("Key") not in tags]
        given["instance"] = [*kept, *({"Key": key, "Value": value} for key, value in tags.items())]
        return {
            "ImageId": image,
            **settings,
            "UserData": base64.b64encode(stub).decode(),
            "MetadataOptions": {**settings.get("MetadataOptions", {}), **_METADATA},
            "TagSpecifications": [{"ResourceType": kind, "Tags": found} for kind, found in given.items()],
        }

    def _version(self, name: str, version: str) -> Any:
        with self._ec2.refusals.to(f"read the launch template {name}"):
            found = self._ec2.client.describe_launch_template_versions(
                LaunchTemplateId=self._there[name]["LaunchTemplateId"], Versions=[version]
            )
        return found["LaunchTemplateVersions"][0]

    def make(self, change: TemplateChange) -> None:
        """Create the template, or give it a version and make that the default; a run that was cut off is completed."""
        data = {"LaunchTemplateData": change.data, "VersionDescription": change.digest}
        with self._ec2.refusals.to(f"{change.kind} the launch template {change.name}"):
            if change.kind == "create":
                tags = [{"Key": CLUSTER_TAG, "Value": self._cluster}]
                specification = [{"ResourceType": "launch-template", "Tags": tags}]
                self._ec2.client.create_launch_template(
                    LaunchTemplateName=change.name, TagSpecifications=specification, **data
                )
                return
            latest = self._version(change.name, "$Latest")
            if latest.get("VersionDescription") != change.digest:
                made = self._ec2.client.create_launch_template_version(LaunchTemplateId=change.template_id, **data)
                latest = made["LaunchTemplateVersion"]
            number = str(latest["VersionNumber"])
            self._ec2.client.modify_launch_template(LaunchTemplateId=change.template_id, DefaultVersion=number)

    def old_versions(self, name: str) -> tuple[int, ...]:
        """Return the numbers of the versions that kgen made and that are older than the default one.

        A template that is not there, or not this cluster's, has none.
        """
        default = self._there[name]["DefaultVersionNumber"] if name in self._there and self._is_own(name) else 1
        if default == 1:
            return ()
        with self._ec2.refusals.to(f"list the versions of the launch template {name}"):
            pages = self._ec2.client.get_paginator("describe_launch_template_versions").paginate(
                LaunchTemplateId=self._there[name]["LaunchTemplateId"], MaxVersion=str(default - 1)
            )
            found = [each for page in pages for each in page["LaunchTemplateVersions"]]
        return tuple(sorted(it["VersionNumber"] for it in found if _OWN.fullmatch(it.get("VersionDescription") or "")))

    def remove_versions(self, name: str, numbers: Sequence[int]) -> None:
        """Delete these versions of the template."""
        for start in range(0, len(numbers), _MOST_AT_ONCE):
            what = f"delete versions of the launch template {name}"
            with self._ec2.refusals.to(what):
                answer = self._ec2.client.delete_launch_template_versions(
                    LaunchTemplateId=self._there[name]["LaunchTemplateId"],
                    Versions=[str(number) for number in numbers[start : start + _MOST_AT_ONCE]],
                )
            for failed in answer.get("UnsuccessfullyDeletedLaunchTemplateVersions", ()):
                code, message = failed["ResponseError"]["Code"], failed["ResponseError"].get("Message", "")
                if code != _NO_VERSION:
                    raise self._ec2.refusals.sentence(what, code, message)

    def remove(self, names: Sequence[str]) -> None:
        """Delete those of these templates that are there and this cluster's."""
        for name in names:
            if name in self._there and self._is_own(name):
                with self._ec2.refusals.to(f"delete the launch template {name}"):
                    self._ec2.client.delete_launch_template(LaunchTemplateId=self._there[name]["LaunchTemplateId"])


def _differing(wanted: Data, there: Data) -> Iterator[str]:
    """Yield the keys that differ, with both values. EC2 adds keys of its own to what it was given."""
    for key in sorted({*wanted, *there}):
        before, after = there.get(key), wanted.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            before = {name: value for name, value in before.items() if name in after}
        if before != after:
            yield key if key == "UserData" else f"{key}: {json.dumps(before)} → {json.dumps(after)}"
