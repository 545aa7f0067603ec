"""What kgen renders from an imported configuration is what kubeadm makes from the configuration itself."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kgen.config.load import load_text
from kgen.kubeadm import documents, importing
from kgen.kubeadm.exporting import Secrets, export
from tests.oracle import compare, kubeadm, table, translate
from tests.oracle.kubeadm import NEWEST, RECORDED
from tests.oracle.rendered import render

IMPORTS = Path(__file__).parent / "imports"
JOIN = "-join"
NAMES = sorted(path.stem for path in IMPORTS.glob("*.yaml") if not path.stem.endswith(JOIN))
SINCE = {"keys": "v1.34.4"}
"""The first version with the configuration's fields; the others are in every version."""


def texts(name: str, version: str) -> list[tuple[str, str]]:
    """Return the files of a configuration: the one for `kubeadm init`, and one for `kubeadm join` if there is any."""
    paths = [path for path in (IMPORTS / f"{name}.yaml", IMPORTS / f"{name}{JOIN}.yaml") if path.exists()]
    number = NEWEST.removeprefix("v"), version.removeprefix("v")
    return [(str(path), path.read_text(encoding="utf-8").replace(*number)) for path in paths]


def asked(text: str) -> list[dict[str, Any]]:
    """Return the documents for `kubeadm init`, with a token that is known."""
    found = {document["kind"]: document for document in yaml.safe_load_all(text)}
    init, cluster = found.pop("InitConfiguration"), found.pop("ClusterConfiguration")
    init.setdefault("bootstrapTokens", [{"token": translate.TOKENS[0]}])
    init["nodeRegistration"].pop("ignorePreflightErrors", None)  # the dry run ignores all of them
    if "patches" in init:
        init["patches"]["directory"] = str(IMPORTS / init["patches"]["directory"])
    return [init, cluster, *found.values()]


def cases() -> list[Any]:
    newest = [pytest.param(name, NEWEST, marks=pytest.mark.real, id=name) for name in NAMES]
    older = [
        pytest.param(name, version, marks=pytest.mark.soak, id=f"{version}-{name}")
        for version in RECORDED
        for name in NAMES
        if RECORDED.index(version) >= RECORDED.index(SINCE.get(name, RECORDED[0]))
    ]
    return newest + older


@pytest.mark.parametrize(("name", "version"), cases())
def test_an_import_renders_what_kubeadm_makes(name, version):
    given = texts(name, version)
    imported = importing.import_documents(documents.parse(given), name="c", directory=translate.CASES, origin="")
    assert imported.decisions == ()
    cluster = yaml.safe_load(imported.text)
    machine = cluster["machines"][0]
    ours, theirs = render(imported.text)[machine["name"]], kubeadm.init(asked(given[0][1]), {})
    found = compare.differences(ours, theirs)
    listed = {(row.where, row.what) for row in table.rows() if row.holds(cluster, machine)}
    surplus = [str(entry) for entry in found if (entry.where, entry.what) not in listed]
    assert not surplus, "these differ and are not in docs/reference/differences.md:\n" + "\n".join(surplus)


def test_ten_kinds_of_configurations_are_tried():
    assert len(NAMES) >= 10


@pytest.mark.real
@pytest.mark.parametrize("path", sorted(translate.CASES.glob("*.yaml")), ids=lambda path: path.stem)
def test_kubeadm_takes_what_is_exported(path, tmp_path):
    cluster = load_text(path.read_text(encoding="utf-8"), str(path)).cluster
    secrets = Secrets(translate.TOKENS[: len(cluster.bootstrap_tokens)], "sha256:" + "0" * 64)
    files = {machine.name: export(cluster, machine, secrets) for machine in cluster.documents}
    for name, text in files.items():
        file = tmp_path / f"{name}.yaml"
        file.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [kubeadm.program(NEWEST), "config", "validate", "--config", file], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
