"""Every master of every case, compared with ``kubeadm init --dry-run`` under its own name and address."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.oracle import compare, kubeadm, rendered, table, translate

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))


def parsed(case: Path) -> dict[str, Any]:
    return yaml.safe_load(case.read_text(encoding="utf-8"))


def masters(case: Path) -> list[dict[str, Any]]:
    return [machine for machine in parsed(case)["machines"] if machine["role"] == "master"]


render = functools.cache(rendered.render)
MASTERS = [
    pytest.param(case, number, id=f"{case.stem}-{master['name']}")
    for case in CASES
    for number, master in enumerate(masters(case))
]


@pytest.mark.real
@pytest.mark.parametrize(("case", "number"), MASTERS)
def test_a_master_is_what_kubeadm_makes_but_for_the_listed_differences(case, number, tmp_path):
    cluster, machine = parsed(case), masters(case)[number]
    ours = render(case)
    documents = translate.kubeadm_config(cluster, machine, ours.tokens)
    theirs = kubeadm.init(documents, tmp_path, translate.environment(cluster))
    found = compare.differences(ours.machines[machine["name"]], theirs)
    expected = {(row.where, row.what) for row in table.rows() if row.holds(cluster, machine)}
    surplus = [str(entry) for entry in found if (entry.where, entry.what) not in expected]
    missing = sorted(expected - {(entry.where, entry.what) for entry in found})
    assert not surplus, "neither alike nor in docs/reference/differences.md:\n" + "\n".join(surplus)
    assert not missing, f"in docs/reference/differences.md, but alike: {missing}"


def test_every_listed_difference_occurs_in_a_case():
    unused = [
        row
        for row in table.rows()
        if not any(row.holds(parsed(case), machine) for case in CASES for machine in masters(case))
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
