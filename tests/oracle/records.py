"""The recorded answers of the older kubeadms, so that a test run builds only the newest one.

``records/<version>/<case>.yaml`` has, for each master of the case, the configuration that kubeadm got and the view of
what it would have made. Only ``minimal.yaml`` is whole: another case leaves out the fields that it has in common with
the master of ``minimal``. ``records/<version>/validate.yaml`` has the answers of ``tests.oracle.validate``.

`make oracle` runs this module, which builds these kubeadms and writes the records. `make soak` compares the records
with what these kubeadms say.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.oracle import case as cases
from tests.oracle import compare, kubeadm, translate, validate
from tests.oracle.case import Case
from tests.oracle.compare import ABSENT, View

RECORDS = Path(__file__).parent / "records"
_BASE = ("minimal", "m1")


def asked(case: Case, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return what kubeadm gets for a master of a case; paths are relative to the directory of the cases."""
    documents = translate.kubeadm_config(case.cluster, machine)
    documents = json.loads(json.dumps(documents).replace(f"{translate.CASES}/", ""))
    return {"configuration": documents, "environment": translate.environment(case.cluster)}


def init(case: Case, machine: Mapping[str, Any]) -> View:
    """Return the recorded view of a master.

    Raises:
        AssertionError: there is no record of this configuration.
    """
    record = _read(case.version, case.name).get(machine["name"], {})
    assert record.get("asked") == asked(case, machine), f"no record of this configuration of {case}: run `make oracle`"
    base = {} if case.name == _BASE[0] else _read(case.version, _BASE[0])[_BASE[1]]["made"]
    return changed(base, record["made"])


def answers(version: str) -> dict[str, Any]:
    """Return the recorded answers of ``tests.oracle.validate``."""
    return _read(version, "validate")


def record(version: str) -> dict[str, Any]:
    """Return the content of every record of ``version``, by name, as its real kubeadm answers now."""
    made = {
        case.name: {machine["name"]: _real(case, machine) for machine in case.masters} for case in cases.of(version)
    }
    base = made[_BASE[0]][_BASE[1]]["made"]
    for name, masters in made.items():
        for master in masters.values() if name != _BASE[0] else ():
            view, master["made"] = master["made"], changes(base, master["made"])
            assert changed(base, master["made"]) == view, f"{name} cannot be recorded as changes"
    return {**made, "validate": validate.answers(version)}


def _real(case: Case, machine: Mapping[str, Any]) -> dict[str, Any]:
    documents = translate.kubeadm_config(case.cluster, machine)
    made = kubeadm.init(documents, translate.environment(case.cluster))
    return {"asked": asked(case, machine), "made": made}


def changes(base: Any, value: Any) -> Any:
    """Return what has to change in ``base`` to make ``value``; lists change as a whole."""
    if not (isinstance(base, Mapping) and isinstance(value, Mapping)):
        return value
    changed = (
        key for key in base.keys() | value.keys() if key not in base or key not in value or base[key] != value[key]
    )
    return {key: changes(base.get(key), value[key]) if key in value else ABSENT for key in changed}


def changed(base: Any, changes: Any) -> Any:
    """Return ``base`` with the changes made."""
    if not (isinstance(base, Mapping) and isinstance(changes, Mapping)):
        return changes
    values = {**base, **{key: changed(base.get(key), value) for key, value in changes.items()}}
    return {key: value for key, value in values.items() if value != ABSENT}


@functools.cache
def _read(version: str, name: str) -> dict[str, Any]:
    path = RECORDS / version / f"{name}.yaml"
    assert path.exists(), f"there is no {path}: run `make oracle`"
    return compare.load_yaml(path.read_text(encoding="utf-8"))


def recorded(version: str) -> dict[str, Any]:
    """Return the content of every record of ``version``, by name, as it is in the repository."""
    return {path.stem: _read(version, path.stem) for path in sorted((RECORDS / version).glob("*.yaml"))}


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def main() -> None:
    """Write the records anew."""
    for version in kubeadm.RECORDED:
        made = record(version)
        shutil.rmtree(RECORDS / version, ignore_errors=True)
        (RECORDS / version).mkdir(parents=True)
        for name, content in made.items():
            text = yaml.dump(content, Dumper=_Dumper, width=120, default_flow_style=False)
            header = f"# Answers of kubeadm {version}, recorded by `make oracle`: see tests/oracle/records.py.\n"
            (RECORDS / version / f"{name}.yaml").write_text(header + text, encoding="utf-8")
    for directory in RECORDS.iterdir():
        if directory.name not in kubeadm.RECORDED:
            shutil.rmtree(directory)


if __name__ == "__main__":
    main()
