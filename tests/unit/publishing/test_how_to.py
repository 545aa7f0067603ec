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
from tests.unit.publishing.conftest import BUCKET

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


def test_the_ec2_module_attaches_the_files_that_kgen_writes(aws, kgen, here):
    text = (EC2 / "main.tf").read_text()
    (line,) = re.findall(r"user_data = var.published .*", text)
    stubs, documents = re.findall(r'"\$\{var.outputs\}/(.*?)"', line)
    assert 'filebase64("${local.user_data}/${each.key}.yaml.gz")' in text
    assert kgen("render", "prod.yaml").code == kgen("publish", "prod.yaml", "--bucket", BUCKET).code == 0
    sizes = [(here / f"outputs/prod/{each}/m1.yaml.gz").stat().st_size for each in (stubs, documents)]
    assert sizes[0] < 2_000 < 20_000 < sizes[1]


def test_the_module_reads_the_printed_policies(kgen, here):
    found = json.loads(kgen("publish", "prod.yaml", "--bucket", "b", "--print-policies").out)
    assert {"master", "node"} < set(found)
    assert 'toset(["master", "node"])' in (EC2 / "main.tf").read_text()


@pytest.fixture
def workflow(kgen):
    """Return a function that runs the steps of the workflow that call kgen, and returns how each ended."""
    steps = yaml.safe_load((ROOT / "examples/github-actions.yaml").read_text())["jobs"]["check"]["steps"]
    commands = [shlex.split(step["run"]) for step in steps if step.get("run", "").startswith("kgen ")]
    assert [words[1] for words in commands] == ["render", "certs", "exposure"]
    return lambda: [kgen(*words[1:]).code for words in commands]


def test_the_workflow_passes_for_a_published_cluster_and_sees_each_fault(aws, kgen, here, workflow):
    assert kgen("render", "prod.yaml").code == 0
    assert workflow() == [0, 0, 3]
    assert kgen("publish", "prod.yaml", "--bucket", BUCKET).code == 0
    assert workflow() == [0, 0, 0]
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text.replace("10.0.0.21}", "10.0.0.21, labels: {rack: r7}}"))
    assert workflow()[0] == 3


def test_the_workflow_sees_certificates_that_expire(aws, kgen, here, workflow):
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "certificateValidityPeriod: 480h\n")
    assert kgen("render", "prod.yaml").code == 0
    assert workflow()[1] == 3
