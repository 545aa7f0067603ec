"""Every master of every case, compared with ``kubeadm init --dry-run`` under its own name and address.

Each case is tried with one patch of every supported minor; the files say the newest.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml

from kgen import versions
from tests.oracle import compare, kubeadm, rendered, table, translate
from tests.oracle.kubeadm import NEWEST, VERSIONS

CASES = sorted(translate.CASES.glob("*.yaml"))
SINCE = {"p384": "v1.34.4", "patches-kube-proxy": "v1.37.2"}
"""Cases that the versions before this one refuse, or take no notice of."""


def text(case: Path, version: str) -> str:
    return case.read_text(encoding="utf-8").replace(NEWEST, version)


def parsed(case: Path, version: str = NEWEST) -> dict[str, Any]:
    return yaml.safe_load(text(case, version))


def masters(case: Path, version: str = NEWEST) -> list[dict[str, Any]]:
    return [machine for machine in parsed(case, version)["machines"] if machine["role"] == "master"]


render = functools.cache(rendered.render)
TRIED = [
    (case, version)
    for number, version in enumerate(VERSIONS)
    for case in CASES
    if number >= VERSIONS.index(SINCE.get(case.stem, VERSIONS[0]))
]
MASTERS = [
    pytest.param(case, version, number, id=f"{version}-{case.stem}-{master['name']}")
    for case, version in TRIED
    for number, master in enumerate(masters(case))
]


def test_every_supported_minor_is_tried():
    assert [version.rpartition(".")[0] for version in VERSIONS] == versions.supported_minors()


@pytest.mark.real
@pytest.mark.parametrize(("case", "version", "number"), MASTERS)
def test_a_master_is_what_kubeadm_makes_but_for_the_listed_differences(case, version, number, tmp_path):
    cluster, machine = parsed(case, version), masters(case, version)[number]
    ours = render(text(case, version))
    documents = translate.kubeadm_config(cluster, machine, ours.tokens)
    theirs = kubeadm.init(documents, tmp_path, translate.environment(cluster))
    found = compare.differences(ours.machines[machine["name"]], theirs)
    expected = {(row.where, row.what) for row in table.rows() if row.holds(cluster, machine)}
    surplus = [str(entry) for entry in found if (entry.where, entry.what) not in expected]
    missing = sorted(expected - {(entry.where, entry.what) for entry in found})
    assert not surplus, "neither alike nor in docs/reference/differences.md:\n" + "\n".join(surplus)
    assert not missing, f"in docs/reference/differences.md, but alike: {missing}"


@pytest.mark.real
@pytest.mark.parametrize("version", VERSIONS)
def test_a_nodes_kubelet_gets_what_a_masters_does(version, tmp_path):
    """But for its name and address; labels and taints, which are a node's own arguments, this one has none."""
    case = next(case for case in CASES if case.stem == "three-masters")
    cluster, machine = parsed(case, version), masters(case, version)[0]
    ours = render(text(case, version))
    theirs = kubeadm.init(translate.kubeadm_config(cluster, machine, ours.tokens), tmp_path, {})
    node, master = (
        compare.Tree({path: file for path, file in tree.files.items() if "/var/lib/kubelet/" in path}, (), tree.issued)
        for tree in (ours.machines["w1"], theirs)
    )
    found = compare.differences(node, master)
    assert [entry.what for entry in found] == ["KUBELET_KUBEADM_ARGS[--node-ip]"], found
    assert [entry.ours for entry in found] == ["--node-ip=10.0.0.21"]


def test_every_listed_difference_occurs_in_a_case():
    unused = [
        row
        for row in table.rows()
        if not any(
            row.holds(parsed(case, version), machine) for case, version in TRIED for machine in masters(case, version)
        )
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
