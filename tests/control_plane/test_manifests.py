"""The user's manifests on a real API server: published, read as kubectl reads them, kinds as the server knows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kgen.config import kubernetes_yaml
from kgen.facts.api_kinds import BUILT_IN, group_of
from tests.control_plane import deployment
from tests.control_plane.deployment import SUPER_ADMIN, Deployment
from tests.control_plane.machines import Bench, Machine

VALUES = """\
  words: [yes, Yes, YES, yEs, y, Y, n, N, no, on, On, off, OFF, true, True, TRUE, tRue, false]
  nothing: [null, ~, Null, NULL, nUll, "", '']
  empty:
  integers: [1, +1, -1, 0644, 0o644, 0x1F, 0X1f, 0b101, -0b11, 0B1, 1_000, 09, 0888, 00, 1_, 0_7, _1, -0o17, 0o8, "1"]
  large: [9223372036854775807, 9223372036854775808, 18446744073709551616, -9223372036854775809, 0x1ffffffffffffffff]
  floats: [1.0, 1., .5, 1e3, 1.5e3, -1.5e-3, 1e400, 1_0.5, "1.5", 1.0e+2, +.5, 12e03, 1e, .e3, 1e21, 1e20, 1e-7, -0.0]
  texts: [1:30, 190:20:30, 1:30.5, 2001-12-14, 2001-12-14t21:59:43.10-05:00, =, "<<", 1.2.3, v1, -, .nan2, 0x, 0b2, +]
  keys: {1: a, 1.5: b, plain: c, "y": d}
  base: &b {x: 1, z: 2}
  merged: {<<: *b, z: 3}
  first: {x: 3, <<: [*b, {w: 4, x: 9}]}
  tagged: !!str 12
  block: |
    a
    b
  folded: >-
    a
    b
"""


@pytest.fixture
def m1(one: Deployment) -> Machine:
    return one.machines["m1"]


def kubectl(m1: Machine, *words: str | Path) -> str:
    return m1.check(["kubectl", "--kubeconfig", m1.root / SUPER_ADMIN, *words])


def test_manifests_are_published_at_the_first_boot(m1):
    odd = json.loads(kubectl(m1, "get", "oddities", "first", "--namespace", "shop", "--output", "json"))
    assert odd["spec"] == {"size": 1000}
    assert kubectl(m1, "get", "secret", "pin", "--output", "jsonpath={.data.pin}") == "MDEyMw=="


def test_objects_that_need_the_controllers_are_published(m1):
    assert kubectl(m1, "get", "pod", "bare", "--namespace", "shop", "--output", "name") == "pod/bare\n"
    # The API server refuses the Service until the quota has a status. What the status counts is no evidence: the
    # controller may write an older count over the one of the admission, and counts again only minutes later.
    assert kubectl(m1, "get", "service", "counted", "--namespace", "shop", "--output", "name") == "service/counted\n"
    quota = json.loads(kubectl(m1, "get", "resourcequota", "few", "--namespace", "shop", "--output", "json"))
    assert quota["status"]["hard"] == {"services": "3"}


def test_kinds_are_those_of_the_api_server(m1):
    stored = kubectl(m1, "api-resources", "--verbs=create,get,delete", "--no-headers").splitlines()
    found = {}
    for line in stored:
        plural, *_, api_version, namespaced, kind = line.split()
        if not api_version.endswith("example.com/v1"):
            found[group_of(api_version), kind] = (plural, namespaced == "true")
    assert found == {key: (kind.plural, kind.namespaced) for key, kind in BUILT_IN.items()}


def test_versions_that_are_served_are_the_stable_ones(m1):
    served = set(kubectl(m1, "api-versions").split())
    for (group, kind), row in BUILT_IN.items():
        for version in row.versions:
            assert (f"{group}/{version}" if group else version) in served, kind


def test_values_are_read_as_kubectl_reads_them(m1, tmp_path):
    head = "apiVersion: example.com/v1\nkind: Odd\nmetadata: {name: values}\nspec:\n"
    (tmp_path / "values.yaml").write_text(head + VALUES)
    words = [
        "create",
        "--dry-run=client",
        "--validate=false",
        "--output",
        "json",
        "--filename",
        tmp_path / "values.yaml",
    ]
    theirs = json.loads(kubectl(m1, *words))["spec"]
    (document,), flaws = kubernetes_yaml.documents(head + VALUES)
    assert not flaws
    ours = json.loads(json.dumps(document.value["spec"]))
    assert list(map(typed, sorted(ours.items()))) == list(map(typed, sorted(theirs.items())))


def typed(value: Any) -> Any:
    """Return ``value`` with its type beside it; numbers as JavaScript has them, which is how JSON's are compared."""
    if isinstance(value, dict):
        return {key: typed(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [typed(below) for below in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number", float(value)
    return type(value).__name__, value


# The API server refuses the first: its selector does not match its own Pods.
REFUSED = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: other}}
    spec: {containers: [{name: web, image: web}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: after, namespace: default}
"""
COPIES = ("run/cloud-init/combined-cloud-config.json", "var/lib/cloud/instances/i-1/user-data.txt")


@pytest.fixture
def refusing(tmp_path: Path, machines: list[Machine]) -> Iterator[Machine]:
    """A lone master with a manifest that is refused for good, not booted yet; cloud-init's last stage is over."""
    described = yaml.safe_load(Path(__file__).with_name("one.yaml").read_text())
    source = tmp_path / "refusing.yaml"
    source.write_text(json.dumps({**described, "manifests": ["refused.yaml"]}))
    (tmp_path / "refused.yaml").write_text(REFUSED)
    (tmp_path / "refusing").mkdir()
    with Bench() as bench:
        machine = Deployment.render(source, tmp_path / "refusing", bench, machines).machine("m1", "10.71.0.11")
        deployment.reseal(machine, waitFactor=0.2)
        for copy in COPIES:
            deployment.write(machine.root / copy, "secret")
        deployment.write(machine.root / "run/cloud-init/result.json", "{}")
        yield machine


def test_a_refused_manifest_leaves_the_master_otherwise_done(refusing, tmp_path):
    deployment.finished(deployment.start_first_boot(refusing), refusing, expect=3)
    status = deployment.status(refusing)
    assert (status["step"], status["exit_code"]) == ("manifests", 3)
    assert 'Deployment web: HTTP 422 Deployment.apps "web" is invalid' in status["error"].replace("\\", "")
    assert "ConfigMap" not in status["error"]
    assert "kubectl create -f" in status["hint"]
    kubectl(refusing, "get", "configmap", "after")
    assert "NoSchedule" in kubectl(refusing, "get", "node", "m1", "--output", "jsonpath={.spec.taints}")
    assert "kubelet-client-current.pem" in (refusing.root / "etc/kubernetes/kubelet.conf").read_text()
    assert [(refusing.root / copy).read_text() for copy in COPIES] == ["", ""]
    assert not (refusing.root / deployment.DONE).exists()

    corrected = tmp_path / "corrected.yaml"
    corrected.write_text(REFUSED.partition("---")[0].replace("app: other", "app: web"))
    kubectl(refusing, "create", "--filename", corrected)
    deployment.finished(deployment.start_first_boot(refusing), refusing)
    kubectl(refusing, "get", "configmap", "kgen", "--namespace", "kube-system")
    assert (refusing.root / deployment.DONE).exists()
    assert (refusing.root / "run/kgen/client.pem").read_text() == ""
