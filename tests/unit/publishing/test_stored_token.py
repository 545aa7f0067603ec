"""A pool whose bootstrap token is in Parameter Store: kgen puts it there, the shipped program fetches it at boot."""

import json
import sys
from dataclasses import replace

import boto3
import pytest
import yaml
from botocore.config import Config
from tests import clusters
from tests.unit.publishing.conftest import REGION
from tests.unit.runner import scratch
from tests.unit.runner.scratch import PYTHONS, Scratch, python_of

from kgen.api.stored_tokens import store_tokens
from kgen.api.tokens import RenewedToken
from kgen.content import kubeconfig
from kgen.errors import KgenError
from kgen.facts import names
from kgen.firstboot import payload_json, program
from kgen.payload import StoredToken
from kgen.publishing.parameter_store import put_token
from kgen.runner.stored_token import DUAL_STACK

TOKEN = "abcdef.0123456789abcdef"
LATER = "fedcba.fedcba9876543210"
NAME = "/kgen/prod/node/workers/token"
POOLS = {"plain": "document", "gpu": "ssm", "workers": "ssm"}
PARAMETERS = ("/kgen/prod/node/gpu/token", NAME)
BOOTSTRAP = "etc/kubernetes/bootstrap-kubelet.conf"


@pytest.fixture
def ssm(aws):
    return boto3.client("ssm")


def told():
    """Return the payload of a node whose token is in Parameter Store."""
    cluster = clusters.with_nodes(1, clusters.one_master())
    made = scratch.payloads(cluster)["w1"]
    content = kubeconfig.bootstrap(cluster, StoredToken(names.token_parameter("prod", "workers")))
    return replace(
        made,
        files=tuple(
            replace(each, content=content) if each.path == names.BOOTSTRAP_KUBELET_CONF else each for each in made.files
        ),
    )


@pytest.fixture
def machine(moto, metadata, tmp_path):
    """Return a function that makes a machine whose program asks moto's server and the fixture's metadata service."""

    def make(python=(sys.executable, "-I", "-S"), **changes):
        made = told()
        asked = {"imds": f"{metadata.url}/latest/", "waitFactor": 0.001}
        body = scratch.body_for_this_host(made, server="https://127.0.0.1:1", **{**asked, **changes})
        machine = Scratch(tmp_path, body, python)
        source = program.program("node", with_comments=False, extras=program.extras(clusters.one_master(), made))
        url = 'f"https://ssm.{region}.{domain}/"'
        assert url in source
        source = source.replace(url, f"'{moto}/'; print('asked', {url})")
        machine.put("usr/local/lib/kgen/firstboot.py", source)
        machine.put("etc/kgen/payload.json", payload_json.text_of(body, made.format))
        return machine

    return make


def token_of(machine):
    return yaml.safe_load((machine.root / BOOTSTRAP).read_text())["users"][0]["user"]["token"]


@pytest.mark.parametrize("suite", PYTHONS)
def test_the_token_is_fetched_at_boot(ssm, machine, suite):
    assert put_token("prod", "workers", TOKEN) == NAME
    made = machine(python_of(suite))
    code, output = made.run()
    assert (code, made.status()["step"]) == (3, "endpoint"), output
    assert f"asked https://ssm.{REGION}.amazonaws.com/" in output
    assert token_of(made) == TOKEN
    assert (made.root / BOOTSTRAP).stat().st_mode & 0o777 == 0o600
    assert TOKEN not in output + json.dumps(made.status()) + (made.root / "etc/kgen/payload.json").read_text()


def test_without_ipv4_nothing_is_asked_by_ipv4(ssm, machine, metadata, metadata_by_ipv6):
    put_token("prod", "workers", TOKEN)
    metadata.role = None
    made = machine(imds=f"{metadata_by_ipv6.url}/latest/")
    code, output = made.run()
    assert (code, made.status()["step"]) == (3, "endpoint"), output
    assert f"asked https://ssm.{REGION}.api.aws/" in output
    assert token_of(made) == TOKEN


@pytest.mark.parametrize(
    ("services", "address", "asked"),
    [
        ("10.96.0.0/12", "10.0.0.11", "169.254.169.254"),
        ("10.96.0.0/12,fd00:2::/112", "[10.0.0.11, fd00::11]", "169.254.169.254"),
        ("fd00:2::/112", "fd00::11", "[fd00:ec2::254]"),
    ],
)
def test_a_pool_asks_where_its_cluster_has_addresses(kgen, here, services, address, asked):
    text = (here / "prod.yaml").read_text().replace("10.0.0.11", address).replace("10.0.0.21", "fd00::21")
    text = text.replace("  - {name: w1, role: node, address: fd00::21}\n", "")
    text = text.replace("role: node}", "role: node, tokenFrom: ssm}")
    (here / "prod.yaml").write_text(f'{text}networking: {{serviceSubnet: "{services}"}}\n')
    ended = kgen("render", "prod.yaml")
    assert ended.code == 0, ended.err
    document = yaml.safe_load((here / "outputs/prod/user-data/workers.yaml").read_text())
    (payload,) = (it["content"] for it in document["write_files"] if it["path"] == "/etc/kgen/payload.json")
    assert json.loads(payload)["body"]["imds"] == f"http://{asked}/latest/"
    assert '"imds"' not in (here / "outputs/prod/user-data/m1.yaml").read_text()


def test_the_service_of_both_families_is_where_botocore_finds_it():
    for region, domain in (("eu-central-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn")):
        found = [
            boto3.client("ssm", region_name=region, config=Config(use_dualstack_endpoint=both)).meta.endpoint_url
            for both in (False, True)
        ]
        assert found == [f"https://ssm.{region}.{each}" for each in (domain, DUAL_STACK[domain])]


def test_a_later_run_has_a_fresh_token(ssm, machine):
    put_token("prod", "workers", TOKEN)
    made = machine()
    assert made.run()[0] == 3
    put_token("prod", "workers", LATER)
    assert made.run()[0] == 3
    assert token_of(made) == LATER


def test_a_machine_that_has_registered_asks_no_more(ssm, machine, metadata):
    metadata.role = None
    made = machine()
    checksum = payload_json.checksum(made.body)
    steps = ("preflight", "files", "system", "endpoint", "certificate", "registered")
    made.put("var/lib/kgen/state.json", json.dumps({checksum: dict.fromkeys(steps, 0.1)}))
    code, output = made.run()
    assert "bootstrap token" not in output
    assert made.status()["step"] != "token", (code, output)


def test_an_answer_that_was_cut_off_is_asked_for_again(ssm, machine, metadata):
    put_token("prod", "workers", TOKEN)
    metadata.cuts = 2
    made = machine(waitFactor=0.01)
    code, output = made.run()
    assert (code, made.status()["step"]) == (3, "endpoint"), output
    assert "waiting for the bootstrap token: EC2 or Parameter Store gives no answer that can be read" in output
    assert token_of(made) == TOKEN


@pytest.mark.parametrize(
    ("there", "role", "said"),
    [
        (None, True, "ParameterNotFound"),
        ("no token", True, "the parameter /kgen/prod/node/workers/token holds no bootstrap token"),
        (TOKEN, False, "HTTP Error 404"),
    ],
)
def test_what_is_missing_is_said_and_waited_for(ssm, machine, metadata, there, role, said):
    if there:
        ssm.put_parameter(Name=NAME, Value=there, Type="SecureString")
    if not role:
        metadata.role = None
    made = machine()
    assert made.run()[0] == 3
    status = made.status()
    assert status["step"] == "token"
    assert said in status["error"]
    assert "kgen token refresh" in status["hint"]
    assert made.tree() == {}


def test_a_payload_says_that_its_token_is_elsewhere():
    made = told()
    assert (made.format, made.has_own_values) == (5, False)
    assert program.extras(clusters.one_master(), made) == ("stored_token",)
    assert "ssm" not in program.program("node", with_comments=True, extras=())
    text = payload_json.text(made)
    assert f'{{"ssm": "{NAME}"}}' in text.replace("{\n", "{").replace("\n}", "}")


def test_a_program_without_the_module_refuses_the_payload(tmp_path):
    made = told()
    body = scratch.body_for_this_host(made)
    machine = Scratch(tmp_path, body)
    machine.put("etc/kgen/payload.json", payload_json.text_of(body, made.format))
    code, output = machine.run()
    assert (code, "the payload has format 5, this program takes 2 or 3" in output) == (4, True)


def test_the_token_is_encrypted_and_replaced(ssm):
    ssm.put_parameter(Name=NAME, Value=LATER, Type="String")
    for token in (TOKEN, LATER, LATER):
        put_token("prod", "workers", token)
    found = ssm.get_parameter(Name=NAME, WithDecryption=True)["Parameter"]
    assert (found["Type"], found["Value"], found["Version"]) == ("SecureString", LATER, 3)
    put_token("prod", "workers", TOKEN, region="us-east-2")
    there = boto3.client("ssm", region_name="us-east-2").get_parameter(Name=NAME, WithDecryption=True)
    assert there["Parameter"]["Value"] == TOKEN


def test_a_refusal_is_a_sentence_without_the_token(ssm, monkeypatch):
    monkeypatch.setattr("kgen.publishing.aws.ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(KgenError) as caught:
        put_token("prod", "workers", TOKEN)
    assert caught.value.message.startswith(f"Parameter Store of {REGION} does not answer: ")
    assert TOKEN not in caught.value.message
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(KgenError, match="no region is named for Parameter Store"):
        put_token("prod", "workers", TOKEN)


def test_the_token_of_the_bundle_is_put_there_for_each_pool(ssm, kgen, here):
    text = "pools:\n" + "".join(f"  - {{name: {name}, role: node, tokenFrom: {it}}}\n" for name, it in POOLS.items())
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text().partition("pools:")[0] + text)
    assert kgen("render", "prod.yaml").code == 0
    assert store_tokens(here / "prod.yaml") == PARAMETERS
    (token,) = yaml.safe_load((here / "prod.secrets.yaml").read_text())["bootstrapTokens"]
    found = [ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] for name in PARAMETERS]
    assert found == [token, token]
    assert store_tokens(here / "prod.yaml", ["plain"]) == ()
    assert len(ssm.describe_parameters()["Parameters"]) == 2


def test_the_documents_of_such_a_pool_hold_no_token(aws, kgen, here):
    (here / "prod.yaml").write_text(
        (here / "prod.yaml").read_text().replace("role: node}", "role: node, tokenFrom: ssm}")
    )
    assert kgen("render", "prod.yaml").code == 0
    (token,) = yaml.safe_load((here / "prod.secrets.yaml").read_text())["bootstrapTokens"]
    secret = token.partition(".")[2]
    assert secret not in (here / "outputs/prod/user-data/workers.yaml").read_text()
    assert secret in (here / "outputs/prod/user-data/w1.yaml").read_text()
    script = kgen("apply", "prod.yaml", "workers").out
    assert secret in script
    assert '"format": 2' in script
    report = json.loads(kgen("exposure", "prod.yaml", "--json").out)
    (found,) = (each for each in report["secrets"] if each["kind"] == "bootstrap token")
    places = {(place["kind"], place["path"]) for place in found["places"] if place["machine"] == "workers"}
    assert places == {("bucket", f"ssm:{NAME}"), ("machines", f"/{BOOTSTRAP}")}
    policies = json.loads(kgen("publish", "prod.yaml", "--bucket", "b", "--print-policies").out)
    tokens = "arn:aws:ssm:*:*:parameter/kgen/prod/node/*/token"
    assert {"Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": tokens} in policies["node"]["Statement"]
    assert policies["tokens"]["Statement"][0]["Action"] == ["ssm:GetParameter", "ssm:PutParameter"]
    assert tokens not in json.dumps(policies["master"])


@pytest.mark.parametrize("verb", ["renew", "refresh"])
def test_the_pools_own_token_is_put_there_once_the_cluster_takes_it(ssm, kgen, here, monkeypatch, verb):
    """The cluster's side is tested in tests/control_plane/test_tokens.py."""
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(
        text.replace("role: node}", "role: node, tokenFrom: ssm, bootstrapToken: {ttl: 1h}}")
    )
    assert kgen("render", "prod.yaml").code == 0
    renewed = RenewedToken("workers", "kube-system/bootstrap-token-x", None, renewed=True, signed="signed")
    seen = []

    def renew(*_, **__):
        seen.append(ssm.describe_parameters()["Parameters"])
        return (renewed,)

    monkeypatch.setattr("kgen.api.renew_tokens", renew)
    ended = kgen("token", verb, "prod.yaml", "--pool", "workers")
    assert (ended.code, seen) == (0, [[]])
    assert f"the parameter {NAME} of AWS has the token" in ended.out
    secrets = yaml.safe_load((here / "prod.secrets.yaml").read_text())
    found = ssm.get_parameter(Name=NAME, WithDecryption=True)["Parameter"]["Value"]
    assert found == secrets["poolTokens"]["workers"]
    assert found not in ended.out
    assert json.loads(kgen("token", verb, "prod.yaml", "--json").out)["parameters"] == [NAME]
