"""kgen refuses the configurations that the kubelet's and kube-proxy's own validation refuses, and takes the others."""

import collections

import pytest

from kgen.config import gate_checks, kubelet_checks, proxy_checks, typed
from kgen.config.effective import Configuration
from kgen.facts import programs
from kgen.facts.versions import parse_version
from tests.facts import draw, tables
from tests.oracle.kubeadm import NEWEST, VERSIONS

KINDS = {
    "kubelet": ("kubelet.config.k8s.io/v1beta1", draw.KUBELET, kubelet_checks.check),
    "kube-proxy": ("kubeproxy.config.k8s.io/v1alpha1", draw.KUBE_PROXY, proxy_checks.check),
}
SEED = 23
VERSIONS_ASKED = [NEWEST, *(pytest.param(version, marks=pytest.mark.soak) for version in VERSIONS if version != NEWEST)]


@pytest.mark.real
@pytest.mark.parametrize("program", KINDS)
@pytest.mark.parametrize("version", VERSIONS_ASKED)
def test_verdicts_are_those_of_the_program(version, program):
    api_version, fields, check = KINDS[program]
    kind = tables.CONFIGURATIONS[program]
    table = programs.of(parse_version(version))
    drawn = draw.configurations(kind, table.types, fields, 600, SEED)
    head = {"apiVersion": api_version, "kind": kind}
    if program == "kubelet":
        head["failCgroupV1"] = False  # the verdict must not depend on this machine
    verdicts = tables.verdicts(version, program, [head | document for document in drawn])
    differences = []
    for document, verdict in zip(drawn, verdicts, strict=True):
        wrong = list(typed.mismatches(document, kind, table.types))
        wrong = wrong or list(check(Configuration(document, kind, program, table)))
        given = document.get("featureGates") or {}
        wrong = wrong or list(gate_checks.check(table.gates[program], given, program))
        if bool(wrong) != bool(verdict):
            differences.append(f"{document}\n  {program}: {verdict}\n  kgen: {wrong}"[:600])
    assert not differences, "\n".join(differences)
    counts = collections.Counter(verdict is None for verdict in verdicts)
    assert min(counts[True], counts[False]) > 50, "the draw does not try both verdicts"
