"""``--json``: errors are JSON, too, and the verbs that report have it."""

import json

import pytest
from tests.unit.cli.test_every_verb import leaves

from kgen.cli.main import cli

BROKEN = """\
apiVersion: kgen/v1
name: prod
kubernetesVersion: v1.37.2
machines:
  - {name: m1, role: master, address: 10.0.0.300}
  - {name: w1, rolle: node}
"""


def test_problems_of_a_file_are_json_with_codes_and_places(kgen, here):
    (here / "prod.yaml").write_text(BROKEN)
    ended = kgen("render", "prod.yaml", "--json")
    assert ended.code == 2
    error = json.loads(ended.out)["error"]
    assert (error["exitCode"], error["message"]) == (2, "2 problems")
    assert [(it["line"], it["column"], it["field"], it["code"]) for it in error["problems"]] == [
        (5, 39, "machines[0].address", "K204"),
        (6, 16, "machines[1].rolle", "K101"),
    ]
    assert all(set(it) == {"file", "line", "column", "field", "code", "message", "hint"} for it in error["problems"])
    assert "[K204]" in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ("render", "nowhere.yaml"),
        ("render", "prod.yaml", "--no-new-secrets"),
        ("diff", "prod.yaml"),
        ("exposure", "prod.yaml"),
        ("seed", "prod.yaml"),
        ("certs", "nowhere.yaml"),
        ("certs", "renew", "prod.yaml"),
        ("token", "join-command", "prod.yaml"),
        ("explain", "nothing"),
        ("bake", "nowhere.yaml"),
        ("images", "list", "nowhere.yaml"),
        ("render",),
        ("render", "prod.yaml", "--no-such-option"),
        ("diff", "prod.yaml", "--output", "prod.yaml"),
        ("token", "refresh", "prod.yaml", "--every", "soon"),
    ],
)
def test_other_errors_are_json_with_message_and_hint(kgen, here, words):
    ended = kgen(*words, "--json")
    error = json.loads(ended.out)["error"]
    assert ended.code == error["exitCode"] == 2
    assert error["message"] in ended.err
    assert error["problems"] == []


def test_without_json_an_error_prints_nothing_on_stdout(kgen):
    assert kgen("render", "nowhere.yaml").out == ""


def test_fields_and_renewals_as_json(kgen, rendered):
    told = json.loads(kgen("explain", "networking.podSubnet", "--json").out)
    assert (told["path"], told["required"], told["kubeadm"][0]["path"]) == (
        "networking.podSubnet",
        False,
        "networking.podSubnet",
    )
    assert "machines" in [it["key"] for it in json.loads(kgen("explain", "--json").out)["fields"]]
    assert json.loads(kgen("explain", "machines.ip", "--json").out)["hint"] == "use `address:`"
    renewed = json.loads(kgen("certs", "renew", "prod.yaml", "m1/apiserver", "--json").out)["renewed"]
    assert [it["name"] for it in renewed] == ["m1/apiserver"]
    assert json.loads(kgen("token", "join-command", "prod.yaml", "--json").out)["command"].startswith("kubeadm join ")


def test_every_verb_that_reports_has_it():
    without = {
        verb
        for verb, command in leaves(cli).items()
        if "--json" not in [option for parameter in command.params for option in parameter.opts]
    }
    assert without == {"export kubeadm", "schema", "completion", "lab console"}  # each prints one text, or a log
