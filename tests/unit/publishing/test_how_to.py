"""docs/how-to/ec2.md: its commands run in order. The examples of Terraform and GitHub are read by their parsers."""

import json
import re
import shlex

import boto3
import hcl2
import pytest
import yaml
from tests import pages
from tests.pages import ROOT

from kgen.cli.main import cli

PAGE = pages.page("ec2.md")
EC2, LIBVIRT = ROOT / "examples/terraform-ec2", ROOT / "examples/terraform-libvirt"
MODULES = (EC2, LIBVIRT)
FILES = sorted(path for module in MODULES for path in module.glob("*.tf"))


def test_the_commands_of_the_page_run(aws, kgen, here):
    (here / "prod.yaml").write_text(pages.cluster_file(PAGE))
    (settings,) = (block.text for block in pages.blocks(PAGE) if block.language == "json")
    (here / "ec2.json").write_text(settings)
    assert kgen("bake", "prod.yaml").code == 0
    recipe = json.loads((here / "outputs/prod/kgen.lock.json").read_text())["sections"]["bake"]["facts"]["recipe"]
    ec2 = boto3.client("ec2")
    image = ec2.register_image(Name="kgen", RootDeviceName="/dev/xvda")["ImageId"]
    ec2.create_tags(Resources=[image], Tags=[{"Key": "kgen:recipe", "Value": recipe}])
    aws.create_bucket(Bucket="my-clusters", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert pages.follow(PAGE, kgen, has_output=False) == [
        *("render", "bake", "publish", "publish", "publish", "attach", "attach", "exposure", "unpublish"),
    ]


def test_every_command_that_the_page_names_exists():
    assert pages.verbs(PAGE) <= set(cli.commands)


def declared(module, kind):
    """Return the variables or outputs of a module by name."""
    blocks = hcl2.loads((module / f"{kind}s.tf").read_text())[kind]
    return {name.strip('"'): body for block in blocks for name, body in block.items()}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_the_readme_of_a_module_lists_variables_and_outputs(module):
    rows = re.findall(r"^\| (`.*?) \|", (module / "README.md").read_text(), re.M)
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(listed) == sorted([*declared(module, "variable"), *declared(module, "output")])
    for kind, keys in (("variable", {"description", "type"}), ("output", {"description", "value"})):
        assert all(keys <= set(body) for body in declared(module, kind).values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_modules_are_hcl(path):
    assert hcl2.loads(path.read_text())


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_the_modules_variables_are_declared_and_used(module):
    texts = {path.name: path.read_text() for path in module.glob("*.tf")}
    declared = set(re.findall(r'^variable "(\w+)"', texts["variables.tf"], re.M))
    used = {name for text in texts.values() for name in re.findall(r"var\.(\w+)", text)}
    assert declared == used
    example = hcl2.loads(re.search(r"```hcl\n(.*?)```", (module / "README.md").read_text(), re.S)[1])
    (block,) = example["module"]
    (given,) = block.values()
    assert set(given) - {"source", "__is_block__"} <= declared
    needed = set(re.findall(r'^variable "(\w+)" \{(?:(?!^\}|default).)*^\}', texts["variables.tf"], re.M | re.S))
    assert needed <= set(given)


def test_the_libvirt_module_attaches_the_seeds_that_kgen_writes(kgen, here):
    source = re.search(r'source = "\$\{var.outputs\}/(seed/\$\{each.key\}.iso)"', (LIBVIRT / "main.tf").read_text())[1]
    assert kgen("render", "prod.yaml").code == kgen("seed", "prod.yaml").code == 0
    assert (here / "outputs/prod" / source.replace("${each.key}", "m1")).is_file()


def test_the_module_reads_the_printed_policies(kgen, here):
    found = json.loads(kgen("publish", "prod.yaml", "--bucket", "b", "--print-policies").out)
    assert {"master", "node"} < set(found)
    assert 'toset(["master", "node"])' in (EC2 / "main.tf").read_text()


def test_the_workflow_runs_verbs_and_options_that_exist():
    workflow = yaml.safe_load((ROOT / "examples/github-actions.yaml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["check"]["steps"] if step.get("run", "").startswith("kgen ")]
    assert len(commands) == 3
    for command in commands:
        _, verb, _, *options = shlex.split(command)
        found = cli.commands[verb]
        found = getattr(found, "commands", {"show": found})["show"]  # `kgen certs` is `kgen certs show`
        known = {flag for parameter in found.params for flag in parameter.opts}
        assert {option for option in options if option.startswith("--")} <= known
