"""Whatever a text holds: the document parses to exactly that text, or the file is refused with the place."""

import functools
import json
from datetime import UTC, datetime

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kgen import engine
from kgen.config.load import load_text
from kgen.emitters.contract import DocumentInfo
from kgen.errors import ProblemsError
from kgen.pipeline import Pipeline
from kgen.secrets_bundle.populate import populate

PIECES = (
    "'",
    '"',
    "\n",
    "\r",
    "{{ x }}",
    "${x}",
    "\0",
    "\u202e",
    "\u2028",
    "\x85",
    "\ufeff",
    "\\",
    "#",
    ": ",
    "- ",
    "%",
)
TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from((*PIECES, "a", "\U0001f600")), max_size=8).map("".join),
    st.sampled_from(PIECES).map(lambda piece: f"a{piece}" * 5_000),
)
PLACES = {
    "content": lambda text: f"files: [{{path: /etc/a, content: {text}}}]",
    "path": lambda text: f"files: [{{path: {text}, content: a}}]",
    "write_files": lambda text: f"cloudInit: {{write_files: [{{path: /etc/b, content: {text}}}]}}",
    "runcmd": lambda text: f"cloudInit: {{runcmd: [[echo, {text}]]}}",
    "gecos": lambda text: f"users: [default, {{name: a, gecos: {text}}}]",
    "argument": lambda text: f"apiServer: {{extraArgs: [{{name: service-account-issuer, value: {text}}}]}}",
    "sysctl": lambda text: f"sysctls: {{kernel.core_pattern: {text}}}",
    "label": lambda text: f"pools: [{{name: p, role: node, labels: {{a: {text}}}}}]",
}
BASE = """\
apiVersion: kgen/v1
name: c
kubernetesVersion: v1.37.2
machines: [{name: m1, role: master, address: 10.0.0.1}]
"""


@functools.cache
def bundle():
    return populate(None, load_text(BASE, "cluster.yaml").cluster, datetime.now(UTC)).bundle


def found(place, document):
    """Return the text that arrived at ``place``."""
    body = json.loads(document["write_files"][-1]["content"])["body"]
    files = {
        path: "".join(content)
        for path, _, _, content in body["files"]
        if all(isinstance(each, str) for each in content)
    }
    match place:
        case "content":
            return files["/etc/a"]
        case "path":
            return next(path for path, text in files.items() if text == "a")
        case "write_files":
            return document["write_files"][0]["content"]
        case "runcmd":
            return document["runcmd"][0][1]
        case "gecos":
            return document["users"][1]["gecos"]
        case "sysctl":
            lines = files["/etc/sysctl.d/kgen.conf"].split("\n")
            return next(line.removeprefix("kernel.core_pattern = ") for line in lines if "core_pattern" in line)
        case "argument":
            command = yaml.safe_load(files["/etc/kubernetes/manifests/kube-apiserver.yaml"])["spec"]["containers"][0][
                "command"
            ]
            given = [word for word in command if word.startswith("--service-account-issuer=")]
            return given[0].removeprefix("--service-account-issuer=")
        case _:
            return None


def loaded(place, text):
    """Return the cluster with ``text`` at ``place``, or the problems."""
    try:
        return load_text(f"{BASE}{PLACES[place](engine.scalar(text))}\n", "cluster.yaml").cluster, ()
    except ProblemsError as error:
        return None, error.problems


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(PLACES)), TEXTS)
def test_a_text_arrives_as_it_is_or_is_refused_with_its_place(place, text):
    cluster, problems = loaded(place, text)
    assert {problem.line for problem in problems} <= {5}
    assert all(len(problem.message + problem.hint) < 1_000 for problem in problems)
    if cluster is None:
        return
    made = Pipeline(cluster, bundle()).artifacts(review_all=True)
    documents = [
        entry for entry in made if not isinstance(entry, DocumentInfo) and entry.path.match("user-data/*.yaml")
    ]
    parsed = {entry.path.stem: yaml.safe_load(entry.content) for entry in documents}
    wanted = text.strip() if place == "sysctl" else text
    assert found(place, parsed["m1"]) == (None if place == "label" else wanted)
