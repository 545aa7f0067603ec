"""The launch templates of machines whose stubs `kgen publish` writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgen.api import image
from kgen.bake import needs
from kgen.emitters.stub import STUBS
from kgen.errors import InputError
from kgen.model import Cluster, Machine
from kgen.output import lock
from kgen.output.artifacts import Artifact
from kgen.output.disk import disk_errors
from kgen.publishing.launch_templates import Data, LaunchTemplates, TemplateChange, read_settings, template_name

FACT = "launchTemplates"
"""The key of the bucket's section in the lock file with the region and the names of the templates."""


@dataclass(frozen=True)
class Plan:
    """What the templates are made of, apart from the stubs. Nothing is changed until ``make``."""

    templates: LaunchTemplates
    machines: Sequence[Machine]
    settings: Mapping[str, Data]
    image: str
    facts: Mapping[str, Any]
    """For the lock file: every template that may be there."""
    warnings: tuple[str, ...]

    def changes(self, stubs: Mapping[str, bytes]) -> tuple[TemplateChange, ...]:
        """Return what must be done to the templates, with these stubs by machine."""
        found = (self.templates.change(it, self.settings[it.name], self.image, stubs[it.name]) for it in self.machines)
        return tuple(each for each in found if each is not None)


def plan(path: Path, cluster: Cluster, root: Path, region: str, recorded: Mapping[str, Any]) -> Plan:
    """Return the plan for the file ``path`` of the user. It fails where a run could not end well.

    Raises:
        InputError: the file is wrong, a template of the same name is somebody else's, or there is no image, or two.
        KgenError: EC2 refuses.
    """
    machines = cluster.documents
    settings = read_settings(path, machines)
    templates = LaunchTemplates(cluster.name, region)
    templates.refuse_foreign(machines)
    before = recorded.get(FACT, {})
    if before and before["region"] != templates.region:
        hint = f"use --region {before['region']}, or run `kgen unpublish` first"
        raise InputError(f"the launch templates are in {before['region']}, not in {templates.region}", hint)
    with disk_errors(root):
        baked = lock.read(root).section(image.SECTION).facts
    needs_image = any("ImageId" not in data for data in settings.values())
    if needs_image and not baked:
        hint = "run `kgen bake`, and make the AMI with Packer; or name an AMI as ImageId in the file"
        raise InputError(f"no image was baked into {root}, so its AMI cannot be found", hint)
    names = {*before.get("names", ()), *(template_name(cluster.name, machine.name) for machine in machines)}
    return Plan(
        templates,
        machines,
        settings,
        templates.image(str(baked.get("recipe"))) if needs_image else "",
        {FACT: {"region": templates.region, "names": sorted(names)}},
        tuple(needs.missing(baked, cluster)) if needs_image else (),
    )


def stub_of(item: Artifact) -> dict[str, bytes]:
    """Return the stub as the provider gets it, by its machine; empty for another file."""
    is_stub = item.path.parent == STUBS and item.path.name.endswith(".yaml.gz")
    return {item.path.name.removesuffix(".yaml.gz"): item.content} if is_stub else {}


def to_remove(cluster: Cluster, recorded: Mapping[str, Any], kept: Collection[str]) -> tuple[str, ...]:
    """Return the names of the recorded templates, except those of the machines ``kept``."""
    names = {template_name(cluster.name, machine) for machine in kept}
    return tuple(name for name in recorded.get(FACT, {}).get("names", ()) if name not in names)


def old_versions(cluster: Cluster, recorded: Mapping[str, Any], removed: Collection[str]) -> dict[str, tuple[int, ...]]:
    """Return the numbers of the old versions of each recorded template that has any and is not ``removed``.

    Raises:
        KgenError: EC2 refuses.
    """
    names = [name for name in recorded.get(FACT, {}).get("names", ()) if name not in removed]
    if not names:
        return {}
    templates = LaunchTemplates(cluster.name, recorded[FACT]["region"])
    found = {name: templates.old_versions(name) for name in names}
    return {name: numbers for name, numbers in found.items() if numbers}


def remove(
    cluster: Cluster, recorded: Mapping[str, Any], names: Sequence[str], versions: Mapping[str, Sequence[int]]
) -> None:
    """Delete these templates, and these versions of others.

    Raises:
        KgenError: EC2 refuses.
    """
    if names or versions:
        templates = LaunchTemplates(cluster.name, recorded[FACT]["region"])
        templates.remove(names)
        for name, numbers in versions.items():
            templates.remove_versions(name, numbers)


def without(recorded: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return what is recorded without these templates."""
    if FACT not in recorded:
        return dict(recorded)
    left = [name for name in recorded[FACT]["names"] if name not in names]
    return {**recorded, FACT: {**recorded[FACT], "names": left}}
