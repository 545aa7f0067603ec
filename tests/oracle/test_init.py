"""Every master of every case is what ``kubeadm init`` makes under its name and address, except for listed differences.

The newest kubeadm is asked for real. The answers of the older ones are recorded (``records.py``).
"""

from __future__ import annotations

import pytest

from kgen.facts import versions
from tests.oracle import case as cases
from tests.oracle import compare, kubeadm, records, table, translate
from tests.oracle.kubeadm import NEWEST, RECORDED, VERSIONS
from tests.oracle.rendered import render

CASES = [case for version in VERSIONS for case in cases.of(version)]


def made_by_kubeadm(case: cases.Case, machine: dict) -> compare.View:
    if case.version in RECORDED:
        return records.init(case, machine)
    return kubeadm.init(translate.kubeadm_config(case.cluster, machine), translate.environment(case.cluster))


def real_if_newest(version: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.real] if version == NEWEST else []


def test_every_supported_minor_is_tried():
    assert [version.rpartition(".")[0] for version in VERSIONS] == versions.supported_minors()


@pytest.mark.parametrize(
    ("case", "machine"),
    [
        pytest.param(
            case, machine, id=f"{case.version}-{case.name}-{machine['name']}", marks=real_if_newest(case.version)
        )
        for case in CASES
        for machine in case.masters
    ],
)
def test_a_master_is_what_kubeadm_makes_except_for_the_listed_differences(case, machine):
    found = compare.differences(render(case.text)[machine["name"]], made_by_kubeadm(case, machine))
    expected = {(row.where, row.what) for row in table.rows() if row.holds(case.cluster, machine)}
    surplus = [str(entry) for entry in found if (entry.where, entry.what) not in expected]
    missing = sorted(expected - {(entry.where, entry.what) for entry in found})
    assert not surplus, "these differ and are not in docs/reference/differences.md:\n" + "\n".join(surplus)
    assert not missing, f"these are in docs/reference/differences.md and do not differ: {missing}"


@pytest.mark.parametrize("version", [pytest.param(version, marks=real_if_newest(version)) for version in VERSIONS])
def test_the_kubelet_of_a_node_gets_the_files_of_a_masters_except_for_the_address(version):
    """The node has no labels and taints of its own, which would be arguments of its kubelet."""
    case = cases.Case("three-masters", version)
    views = render(case.text)["w1"], made_by_kubeadm(case, case.masters[0])
    node, master = ({path: file for path, file in view.items() if "/var/lib/kubelet/" in path} for view in views)
    assert "/var/lib/kubelet/config.yaml" in node
    found = compare.differences(node, master)
    assert [entry.what for entry in found] == ["KUBELET_KUBEADM_ARGS[--node-ip]"], found
    assert [entry.ours for entry in found] == ["--node-ip=10.0.0.21"]


@pytest.mark.soak
@pytest.mark.parametrize("version", RECORDED)
def test_the_records_are_what_the_real_kubeadm_answers(version):
    assert records.recorded(version) == records.record(version), "run `make oracle` and review the difference"


def test_there_is_a_record_for_each_case_and_no_other():
    found = {path.relative_to(records.RECORDS) for path in records.RECORDS.rglob("*") if path.is_file()}
    names = {version: ["validate", *(case.name for case in cases.of(version))] for version in RECORDED}
    assert {str(path) for path in found} == {
        f"{version}/{name}.yaml" for version in RECORDED for name in names[version]
    }


def test_every_listed_difference_occurs_in_a_case():
    unused = [
        row
        for row in table.rows()
        if not any(row.holds(case.cluster, machine) for case in CASES for machine in case.masters)
    ]
    assert not unused


def test_a_difference_is_listed_once_with_a_reason_and_no_wildcard():
    listed = table.rows()
    assert listed
    assert len({(row.where, row.what) for row in listed}) == len(listed)
    for row in listed:
        assert row.reason
        assert set(row.conditions) <= table.CONDITIONS.keys()
        assert "*" not in row.where + row.what
        assert "…" not in row.where + row.what


def test_every_condition_is_explained():
    text = table.DOCUMENT.read_text(encoding="utf-8")
    used = {condition for row in table.rows() for condition in row.conditions}
    assert used == table.CONDITIONS.keys()
    assert all(f"| `{condition}` |" in text for condition in table.CONDITIONS)
