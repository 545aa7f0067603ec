"""Writes the tables of ``kgen.facts.programs`` from what the programs' own packages say (``probe/``): `make facts`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.components import cache, golang
from tests.oracle.kubeadm import VERSIONS

TABLES = Path(__file__).parents[2] / "generator" / "kgen" / "facts" / "tables"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")
CONFIGURATIONS = {"kubelet": "KubeletConfiguration", "kube-proxy": "KubeProxyConfiguration"}
_STAGES = {"ALPHA": "alpha", "BETA": "beta", "": "GA", "DEPRECATED": "deprecated"}


def text(version: str) -> str:
    """Return the table of a version as it is kept: one name a line, sorted."""
    return json.dumps(table(version), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def table(version: str) -> dict[str, Any]:
    """Return what the programs of a version take."""
    told = {name: json.loads(_run(version, name)) for name in PROGRAMS}
    manager = told["kube-controller-manager"]
    own = {program: {name: _gate(gate) for name, gate in facts["gates"].items()} for program, facts in told.items()}
    gates: dict[str, str] = {}
    for of_program in own.values():
        gates = of_program | gates  # the first program's word stands for all that do not differ from it
    differing = {
        program: {name: gate for name, gate in of_program.items() if gate != gates[name]}
        for program, of_program in own.items()
    }
    lacking = {name: [program for program in PROGRAMS if name not in told[program]["gates"]] for name in gates}
    return {
        "version": version,
        "flags": {name: facts["flags"] for name, facts in told.items()},
        "gates": gates,
        "gatesLackingIn": {name: programs for name, programs in lacking.items() if programs},
        "gatesDifferingIn": {program: of_program for program, of_program in differing.items() if of_program},
        "admissionPlugins": sorted(told["kube-apiserver"]["admissionPlugins"]),
        "controllers": sorted({*manager["controllers"], *manager["controllerAliases"]}),
        "tlsCipherSuites": sorted(told["kubelet"]["tlsCipherSuites"]),
        "tlsVersions": sorted(told["kubelet"]["tlsVersions"]),
        "types": told["kube-proxy"]["types"] | told["kubelet"]["types"],
        "defaults": {kind: told[program]["defaults"] for program, kind in CONFIGURATIONS.items()},
    }


def _gate(facts: dict[str, Any]) -> str:
    value = ("always " if facts["locked"] else "") + ("on" if facts["default"] else "off")
    needs = [f"needs {' and '.join(sorted(facts['needs']))}"] if facts.get("needs") else []
    return ", ".join([_STAGES[facts["stage"]], value, *needs])


def verdicts(version: str, program: str, documents: list[dict[str, Any]]) -> list[str | None]:
    """Return why a program refuses each of the configurations, None for those that it takes."""
    return json.loads(_run(version, program, "judge", documents=json.dumps(documents)))


def _run(version: str, program: str, *arguments: str, documents: str = "") -> str:
    command = [golang.probes(version.removeprefix("v")) / program, *arguments]
    return subprocess.run(command, input=documents, stdout=subprocess.PIPE, text=True, check=True).stdout


def main(versions: list[str]) -> None:
    """Write the tables of the versions, of all if none is given."""
    TABLES.mkdir(exist_ok=True)
    for version in versions or VERSIONS:
        path = TABLES / f"{version.rpartition('.')[0]}.json"
        path.write_text(text(version), encoding="utf-8")
        cache.say(str(path))


if __name__ == "__main__":
    main(sys.argv[1:])
