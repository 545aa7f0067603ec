"""OpenTofu reads the Terraform modules of examples and what `kgen attach` prints, with the provider for libvirt."""

import json
import os
import re
import shutil
import subprocess

import pytest
from tests.components import golang
from tests.components.__main__ import LIBVIRT_PROVIDER_VERSION, OPENTOFU_VERSION
from tests.pages import ROOT

from kgen.facts.providers import PROVIDERS
from kgen.facts.providers_roads import ROADS

pytestmark = pytest.mark.real
EC2, LIBVIRT = ROOT / "examples/terraform-ec2", ROOT / "examples/terraform-libvirt"
MIRROR = 'provider_installation {{\n  filesystem_mirror {{\n    path = "{}"\n  }}\n}}\n'
MACHINE = {"role": "master", "address": "10.0.0.11", "subnet_id": "subnet-1"}
GIVEN = {"outputs": "out", "ami": "ami-1", "security_group_ids": ["sg-1"], "machines": {"m1": MACHINE}}
LIBVIRT_MACHINE = {"address": "192.168.88.11", "mac": "52:54:00:00:01:11"}
LIBVIRT_GIVEN = {
    **{"name": "virt", "outputs": "out", "image": "virt.qcow2", "network": "192.168.88.0/24"},
    "machines": {"m1": LIBVIRT_MACHINE},
}


@pytest.fixture
def tofu(tmp_path):
    """Return a function that runs OpenTofu here, with the provider for libvirt and no other."""
    (tmp_path / "tofurc").write_text(MIRROR.format(golang.libvirt_provider(LIBVIRT_PROVIDER_VERSION)))
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(tmp_path / "tofurc"), "CHECKPOINT_DISABLE": "1"}
    program = golang.opentofu(OPENTOFU_VERSION) / "tofu"

    def run(*words, told=None):
        return subprocess.run(
            [program, *words], cwd=tmp_path, env=environment, input=told, text=True, capture_output=True, check=False
        )

    return run


@pytest.mark.parametrize("module", [EC2, LIBVIRT], ids=lambda module: module.name)
def test_the_modules_have_the_usual_format(tofu, module):
    ended = tofu("fmt", "-check", "-diff", str(module))
    assert ended.returncode == 0, ended.stdout


def test_the_libvirt_module_and_its_example_are_valid(tofu, tmp_path):
    shutil.copytree(LIBVIRT, tmp_path / "terraform-libvirt")
    example = re.search(r"```hcl\n(.*?)```", (LIBVIRT / "README.md").read_text(), re.S)[1]
    (tmp_path / "main.tf").write_text((LIBVIRT / "versions.tf").read_text() + example)
    for words in (("init",), ("validate",)):
        ended = tofu(*words)
        assert ended.returncode == 0, ended.stderr
    main = tmp_path / "terraform-libvirt/main.tf"
    main.write_text(main.read_text().replace("vcpu ", "vcpus "))
    assert 'An argument named "vcpus" is not expected here' in tofu("validate").stderr


@pytest.mark.parametrize(
    ("module", "given", "message"),
    [
        (EC2, GIVEN, ""),
        (EC2, {**GIVEN, "ami": "debian"}, "begins with ami-"),
        (EC2, {**GIVEN, "security_group_ids": []}, "default group of the VPC"),
        (EC2, {**GIVEN, "machines": {"m1": {**MACHINE, "role": "worker"}}}, "role is master or node"),
        (EC2, {**GIVEN, "machines": {"m1": {**MACHINE, "address": "10.0.0.300"}}}, "is an IPv4 address"),
        (EC2, {**GIVEN, "machines": {"m1": {**MACHINE, "disk_gib": None}}}, ""),
        (LIBVIRT, LIBVIRT_GIVEN, ""),
        (LIBVIRT, {**LIBVIRT_GIVEN, "network": "192.168.88.0"}, "has the form 192.168.88.0/24"),
        (LIBVIRT, {**LIBVIRT_GIVEN, "machines": {"m1": {**LIBVIRT_MACHINE, "mac": "52-54"}}}, "has the form 52:54"),
        (LIBVIRT, {**LIBVIRT_GIVEN, "machines": {"m1": {**LIBVIRT_MACHINE, "address": "m1"}}}, "is an IPv4 address"),
    ],
)
def test_variables_are_validated(tofu, tmp_path, module, given, message):
    """Without the resources, whose provider is not here."""
    shutil.copy(module / "variables.tf", tmp_path)
    (tmp_path / "given.tfvars.json").write_text(json.dumps(given))
    assert tofu("init").returncode == 0
    ended = tofu("plan", "-var-file=given.tfvars.json")
    assert (ended.returncode == 0) == (not message), ended.stderr
    assert message in " ".join(ended.stderr.replace("│", " ").split())


@pytest.mark.parametrize("road", [road for road in ROADS if road.syntax == "hcl"], ids=lambda road: road.provider)
def test_a_snippet_has_the_usual_format(kgen, here, tofu, road):
    if not PROVIDERS[road.provider].gzip:
        (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + f"provider: {road.provider}\n")
    assert kgen("render", "prod.yaml").code == kgen("seed", "prod.yaml").code == 0
    if PROVIDERS[road.provider].gzip:
        (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + f"provider: {road.provider}\n")
    text = kgen("attach", "prod.yaml", "w1", "--with", "terraform").out
    ended = tofu("fmt", "-check", "-diff", "-", told=text)
    assert ended.returncode == 0, ended.stdout
    if road.provider == "nocloud":
        (here / "main.tf").write_text((LIBVIRT / "versions.tf").read_text() + text)
        assert tofu("init").returncode == 0
        ended = tofu("validate")
        assert ended.returncode == 0, ended.stderr
