"""``kgen attach``: the text of every road, checked with the tools that can be had."""

import base64
import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from urllib.parse import parse_qs

import boto3
import hcl2
import pytest

from kgen.api import attaching
from kgen.facts.providers import PROVIDERS
from kgen.facts.providers_roads import ROADS

TEXT_ROADS = [road for road in ROADS if road.form != "seed"]


def with_provider(here, provider, more=""):
    path = here / "prod.yaml"
    path.write_text(path.read_text() + f"provider: {provider}\n" + more)


def words(text):
    """Return the words of a shell text without its comments."""
    return shlex.split(text.replace("\\\n", " "), comments=True)


def command(text, name):
    """Return what follows the word ``name`` of a shell text as a mapping of options; others are in ``rest``."""
    found = words(text)
    arguments, options, rest = iter(found[found.index(name) + 1 :]), {}, []
    for word in arguments:
        if word.startswith("--") and "=" in word:
            option, _, value = word.partition("=")
            options[option] = value
        elif word.startswith("-"):
            options[word] = next(arguments)
        else:
            rest.append(word)
    return options, rest


def test_every_provider_has_a_road_and_every_road_says_what_takes_the_data():
    assert {road.provider for road in ROADS} == set(PROVIDERS)
    assert len({(road.provider, road.tool) for road in ROADS}) == len(ROADS)
    for road in ROADS:
        assert all((road.field, road.encoding, road.checked_by, road.source))
        assert (road.form == "text") or PROVIDERS[road.provider].gzip


@pytest.mark.parametrize("road", TEXT_ROADS, ids=lambda road: f"{road.provider}-{road.tool}")
@pytest.mark.parametrize("machine", ["w1", "workers"])
def test_each_road_names_a_file_that_is_there_and_no_token_is_left(kgen, here, road, machine):
    assert PROVIDERS[road.provider].gzip or not with_provider(here, road.provider)
    assert kgen("render", "prod.yaml").code == 0
    if PROVIDERS[road.provider].gzip:  # only now: some providers are too small for the master
        with_provider(here, road.provider)
    ended = kgen("attach", "prod.yaml", machine, "--with", road.tool)
    assert (ended.code, ended.err) == (0, "")
    path = f"outputs/prod/user-data/{machine}.yaml" + (".gz" if road.form == "gzip" else "")
    assert (here / path).exists()
    body = "\n".join(line for line in ended.out.splitlines() if not line.startswith("#"))
    assert path in body
    assert "@" not in body
    assert ("10.0.0.21" in body) == (machine == "w1" and "@address@" in road.text)
    if road.syntax == "hcl":
        (resource,) = hcl2.loads(ended.out)["resource"]
        assert f'file{"base64" if road.form == "gzip" else ""}("{path}")' in json.dumps(resource).replace('\\"', '"')
    else:
        checked = subprocess.run(["sh", "-n"], input=ended.out, text=True, capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_the_aws_command_has_what_ec2_takes(kgen, rendered, here):

    with_provider(here, "ec2")
    options, rest = command(kgen("attach", "prod.yaml", "w1").out, "run-instances")
    assert not rest
    kind, tags = options["--tag-specifications"].split(",", 1)
    assert (kind, tags) == ("ResourceType=instance", "Tags=[{Key=Name,Value=w1}]")
    http_tokens, hops = (pair.split("=") for pair in options["--metadata-options"].split(","))
    client = boto3.client("ec2", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    sent = []

    def keep(request, **_):
        sent.append(parse_qs(request.body))
        raise ConnectionError("not sent")

    client.meta.events.register("before-send.ec2.RunInstances", keep)
    with pytest.raises(ConnectionError):
        client.run_instances(
            ImageId=options["--image-id"],
            InstanceType=options["--instance-type"],
            SubnetId=options["--subnet-id"],
            PrivateIpAddress=options["--private-ip-address"],
            MetadataOptions={http_tokens[0]: http_tokens[1], hops[0]: int(hops[1])},
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "w1"}]}],
            UserData=(here / options["--user-data"].removeprefix("fileb://")).read_bytes(),
            MinCount=1,
            MaxCount=1,
        )
    (user_data,) = sent[0]["UserData"]
    assert gzip.decompress(base64.b64decode(user_data)) == (rendered / "user-data/w1.yaml").read_bytes()


@pytest.mark.real
@pytest.mark.parametrize("output", ["outputs", 'it\'s, "here" \\x'])
def test_virt_install_takes_its_command(kgen, here, output):
    assert shutil.which("virt-install"), "virt-install is missing: apt-get install virtinst"
    text = (
        (here / "prod.yaml")
        .read_text()
        .replace("10.0.0.21}", "10.0.0.21, mac: 52:54:00:00:00:21, uuid: 6e9f4e5c-8d0a-4c3f-9d6b-0a6c1f0f7e11}")
    )
    (here / "prod.yaml").write_text(text)
    assert kgen("render", "prod.yaml", "--output", output).code == 0
    assert kgen("seed", "prod.yaml", "--output", output).code == 0
    (here / "disk.img").write_bytes(bytes(1 << 20))
    found = words(kgen("attach", "prod.yaml", "w1", "--with", "virt-install", "--output", output).out)
    found[found.index("DISK,bus=virtio")] = "disk.img,bus=virtio"
    ended = subprocess.run(
        [found[0], "--connect", "test:///default", *found[1:], "--dry-run", "--print-xml"],
        text=True,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    for part in ("seed/w1.iso", "52:54:00:00:00:21", "6e9f4e5c-8d0a-4c3f-9d6b-0a6c1f0f7e11", "<readonly/>"):
        assert part in ended.stdout.replace('"', "'")


def test_a_document_over_the_limit_is_refused_with_a_road_that_works(kgen, rendered, here):
    ended = kgen("attach", "prod.yaml", "m1", "--with", "aws")
    assert (ended.code, ended.out) == (2, "")
    assert "and Amazon EC2 takes 16,384 (the bytes before base64 count)" in ended.err
    assert "image: {runner: baked}" in ended.err


@pytest.mark.parametrize(("extra", "code"), [(-1, 0), (0, 0), (1, 2)])
def test_the_limit_is_exact(kgen, rendered, here, monkeypatch, extra, code):
    with_provider(here, "openstack")
    counted = PROVIDERS["openstack"].count((rendered / "user-data/w1.yaml.gz").stat().st_size)
    row = PROVIDERS["openstack"]
    monkeypatch.setitem(attaching.PROVIDERS, "openstack", replace(row, limit_bytes=counted - extra))
    assert kgen("attach", "prod.yaml", "w1").code == code


def test_az_takes_text_and_says_who_takes_the_gzip(kgen, rendered, here):
    with_provider(here, "azure")
    assert "--custom-data outputs/prod/user-data/w1.yaml\n" in kgen("attach", "prod.yaml", "w1", "--with", "az").out
    ended = kgen("attach", "prod.yaml", "m1", "--with", "az")
    assert ended.code == 2
    assert "az takes plain text only: use `--with terraform`" in ended.err


@pytest.mark.parametrize(
    ("provider", "arguments", "message"),
    [
        ("", ("m1",), "the cluster file names no provider"),
        ("", ("m1", "--with", "terraform"), "terraform serves several providers"),
        ("azure", ("m1", "--with", "aws"), "there is no road to azure with aws"),
        ("azure", ("m9",), "there is no machine or pool 'm9'"),
        ("", ("m1", "--with", "qm"), "the seed of m1 in outputs/prod is missing or not up to date"),
    ],
)
def test_what_cannot_be_attached_is_a_sentence(kgen, rendered, here, provider, arguments, message):
    if provider:
        with_provider(here, provider)
    ended = kgen("attach", "prod.yaml", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


def test_what_is_not_rendered_is_not_attached(kgen, rendered, here):
    with_provider(here, "azure", "controlPlaneEndpoint: api.example.com:6443\n")
    ended = kgen("attach", "prod.yaml", "w1")
    assert ended.code == 2
    assert "is not what is rendered in outputs" in ended.err


def test_from_another_directory_the_error_asks_for_the_output(kgen, rendered, here, monkeypatch):
    with_provider(here, "azure")
    (here / "sub dir").mkdir()
    monkeypatch.chdir(here / "sub dir")
    ended = kgen("attach", "../prod.yaml", "w1")
    assert ended.code == 2
    assert "there is no outputs/prod" in ended.err
    assert "the last render with --output" in ended.err
    for output in ("../outputs", str(here / "outputs")):
        ended = kgen("attach", "../prod.yaml", "w1", "--output", output)
        assert ended.code == 0
        assert f'"{output}/prod/user-data/w1.yaml.gz"' in ended.out


FAKE = """\
#!{python}
import json, os, sys
told = sys.stdin.read() if "/dev/stdin" in " ".join(sys.argv) or "-" in sys.argv else ""
with open({log!r}, "a") as file:
    file.write(json.dumps([sys.argv[1:], told]) + "\\n")
"""


@pytest.fixture
def in_a_shell(here):
    """Run a shell text in a directory; return the arguments and stdin of each tool that it started."""
    programs, log = here / "programs", here / "log"
    programs.mkdir()
    for road in ROADS:
        for name in (road.tool, "scp", "ssh"):
            (programs / name).write_text(FAKE.format(python=sys.executable, log=str(log)))
            (programs / name).chmod(0o755)

    def call(text, directory):
        log.unlink(missing_ok=True)
        path = {"PATH": f"{programs}:{os.environ['PATH']}"}
        subprocess.run(["sh", "-c", text], check=False, capture_output=True, cwd=directory, env={**os.environ, **path})
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    return call


SHELL_ROADS = [road for road in ROADS if road.syntax == "shell"]


@pytest.mark.parametrize("output", ['it\'s "$HOME"; id', "-o", "~", "a:b"])
def test_every_tool_gets_the_file_whatever_its_path_is(kgen, here, in_a_shell, output):
    plain = (here / "prod.yaml").read_text()
    for verb in ("render", "seed"):
        assert kgen(verb, "prod.yaml", f"--output={output}").code == 0
    for road in sorted(SHELL_ROADS, key=lambda road: not PROVIDERS[road.provider].gzip):
        (here / "prod.yaml").write_text(f"{plain}provider: {road.provider}\n")
        if not PROVIDERS[road.provider].gzip:  # its documents are other ones
            assert kgen("render", "prod.yaml", f"--output={output}").code == 0
        made = kgen("attach", "prod.yaml", "w1", "--with", road.tool, f"--output={output}")
        assert made.code == 0, made.err
        (first, told), *_ = in_a_shell(made.out, here)
        if told:
            content = base64.b64decode(told)
            assert content == (here / output / "prod/user-data/w1.yaml.gz").read_bytes()
        elif road.tool == "virt-install":
            (option,) = [word for word in first if word.endswith("readonly=on")]
            splitter = shlex.shlex(option, posix=True)
            splitter.whitespace, splitter.whitespace_split, splitter.commenters = ",", True, ""
            assert (here / next(iter(splitter)).removeprefix("path=")).is_file()
        else:
            (path,) = [word.removeprefix("fileb://") for word in first if "/prod/" in word]
            assert (here / path).is_file()
            assert not path.startswith(("-", "~"))
            assert ":" not in path or path.startswith("./")


@pytest.mark.parametrize(
    ("provider", "tool"), [("azure", "az"), ("gce", "gcloud"), ("hetzner", "hcloud"), ("vsphere", "govc")]
)
def test_a_tool_starts_no_machine_without_the_file(kgen, rendered, here, in_a_shell, provider, tool):
    """The other tools fail by themselves. az would take the path for the user-data."""
    with_provider(here, provider)
    text = kgen("attach", "prod.yaml", "w1", "--with", tool).out
    assert in_a_shell(text, here / "programs") == []


def test_hcloud_touches_no_server_that_it_did_not_create(kgen, rendered, here, in_a_shell):
    """A server of the same name may exist: then the first command fails."""
    with_provider(here, "hetzner")
    text = kgen("attach", "prod.yaml", "w1").out
    assert [words[1] for words, _ in in_a_shell(text, here)] == ["create", "attach-to-network", "poweron"]
    with (here / "programs/hcloud").open("a") as file:
        file.write("sys.exit(1)\n")
    assert [words[1] for words, _ in in_a_shell(text, here)] == ["create"]


@pytest.mark.parametrize("road", [road for road in TEXT_ROADS if road.syntax == "hcl"], ids=lambda road: road.provider)
def test_terraform_does_not_print_the_document_and_does_not_replace_a_machine_for_it(road):
    (line,) = re.findall(r"^.* sensitive\(file(?:base64)?\(@path@\)\)$", road.text, re.M)
    (ignored,) = re.findall(r"^    ignore_changes = \[(\w+)\] #", road.text, re.M)
    holder = line if line.startswith("  " + ignored) else road.text[: road.text.index(line)].rsplit("\n\n", 1)[1]
    assert re.match(rf"  {ignored}( +=| {{)", holder)


@pytest.mark.parametrize(
    ("provider", "addresses", "left"),
    [
        ("ec2", "10.0.0.21", ""),
        ("ec2", "[10.0.0.21, fd00::21]", "fd00::21"),
        ("ec2", "fd00::21", "fd00::21"),
        ("azure", "10.0.0.21", "10.0.0.21"),
        ("vsphere", "[10.0.0.21, fd00::21]", "10.0.0.21 and fd00::21"),
    ],
)
def test_addresses_that_the_text_does_not_give_are_named(kgen, here, provider, addresses, left):
    text = (here / "prod.yaml").read_text().replace("10.0.0.21", addresses)
    if addresses.startswith("fd"):
        text = text.replace("10.0.0.11", "fd00::11") + "networking: {serviceSubnet: 'fd00:2::/112'}\n"
    elif addresses.startswith("["):
        text = text.replace("10.0.0.11", "[10.0.0.11, fd00::11]")
        text += "networking: {serviceSubnet: '10.96.0.0/16,fd00:2::/112'}\n"
    (here / "prod.yaml").write_text(text)
    assert kgen("render", "prod.yaml").code == 0
    with_provider(here, provider)
    out = kgen("attach", "prod.yaml", "w1").out
    comment = f"# Give the machine {left} by other means, such as DHCP: this text does not."
    assert [line for line in out.splitlines() if "by other means" in line] == ([comment] if left else [])
    assert "by other means" not in kgen("attach", "prod.yaml", "workers").out


@pytest.mark.parametrize(
    ("road", "name"), [("gce-gcloud", "w1-example-com"), ("akamai-terraform", "prod-w1.example.com")]
)
def test_a_name_is_one_that_the_provider_takes(kgen, here, road, name):
    """GCE and CloudStack take no dots; Akamai takes no label of two letters."""
    provider, tool = road.split("-")
    text = (here / "prod.yaml").read_text().replace("name: w1,", "name: w1.example.com,")
    (here / "prod.yaml").write_text(text)
    assert kgen("render", "prod.yaml").code == 0
    with_provider(here, provider)
    assert name in kgen("attach", "prod.yaml", "w1.example.com", "--with", tool).out.replace('"', " ").split()


def test_a_pool_that_fetches_its_token_is_started_with_an_instance_profile(kgen, here):
    text = (here / "prod.yaml").read_text().replace("workers, role: node}", "workers, role: node, tokenFrom: ssm}")
    (here / "prod.yaml").write_text(f"{text}provider: ec2\nimage: {{runner: baked}}\n")
    assert kgen("render", "prod.yaml").code == 0
    for machine, needs in (("w1", False), ("workers", True)):
        options, _ = command(kgen("attach", "prod.yaml", machine).out, "run-instances")
        assert options.get("--iam-instance-profile") == ("Name=INSTANCE_PROFILE" if needs else None)
        found = kgen("attach", "prod.yaml", machine, "--with", "terraform").out
        assert ('iam_instance_profile = "INSTANCE_PROFILE"' in found) is needs
        hcl2.loads(found)


def test_a_machine_that_seed_named_is_attached(kgen, here):
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "userData: {secrets: sealed}\n")
    assert kgen("render", "prod.yaml").code == kgen("seed", "prod.yaml", "--pool", "workers", "--name", "w7").code == 0
    ended = kgen("attach", "prod.yaml", "w7", "--with", "virt-install")
    assert ended.code == 0, ended.err
    assert "# Start w7 of the cluster prod" in ended.out
    assert "--name w7 " in ended.out
    assert "path=outputs/prod/seed/w7.iso," in ended.out
    assert "outputs/prod/sealed/workers.key" in ended.out
    with_provider(here, "ec2")
    ended = kgen("attach", "prod.yaml", "w7")
    assert (ended.code, "w7 has a seed, and aws takes user-data" in ended.err) == (2, True)
    assert "`kgen attach prod.yaml workers`" in ended.err
    assert "there is no machine or pool 'w8'" in kgen("attach", "prod.yaml", "w8", "--with", "qm").err
    assert kgen("seed", "prod.yaml", "--drop", "w7").code == 0
    assert "there is no machine or pool 'w7'" in kgen("attach", "prod.yaml", "w7", "--with", "qm").err


def test_a_path_with_blanks_and_signs_is_quoted(kgen, here):
    assert kgen("render", "prod.yaml", "--output", "my ${out}").code == 0
    with_provider(here, "ec2")
    path = "my ${out}/prod/user-data/w1.yaml.gz"
    found = kgen("attach", "prod.yaml", "w1", "--output", "my ${out}").out
    assert f"fileb://{path}" in words(found)
    found = kgen("attach", "prod.yaml", "w1", "--output", "my ${out}", "--with", "terraform").out
    assert 'filebase64("my $${out}/prod/user-data/w1.yaml.gz")' in found
    hcl2.loads(found)
