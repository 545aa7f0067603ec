"""The user's patches: the files of a directory → patches in the order they are applied, or every problem in them.

File names, patch types and order are those of ``kubeadm init --patches`` (kubeadm's package ``util/patches``, v1.37).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from kgen.config import patch_types, user_files
from kgen.config.kubernetes_yaml import documents, node_at
from kgen.config.typed import field_path
from kgen.errors import Problem
from kgen.facts.programs import Programs
from kgen.model import Patch, Role
from kgen.reader.report import Report, nearest, one_of, shown
from kgen.reader.tree import Node

TARGETS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubeletconfiguration",
    "corednsdeployment",
    "kubeproxydaemonset",
)
"""The targets of patches: the static pods, each machine's kubelet configuration, the add-ons' workloads."""

ADDONS = ("corednsdeployment", "kubeproxydaemonset")
_TYPES = ("strategic", "merge", "json")
_SUFFIXES = (".yaml", ".json")
_NAME = re.compile(rf"({'|'.join(TARGETS)})[^.+]*(?:\+({'|'.join(_TYPES)}))?\.(?:yaml|json)")
_FORM = "target[suffix][+type].yaml or .json"


def read(
    name: str,
    place: Node,
    directory: Path,
    report: Report,
    programs: Programs | None,
    role: Role | None = None,
) -> tuple[list[Patch], list[Problem]]:
    """Return the patches in the directory called ``name``, and what is wrong in its files.

    The path is relative to ``directory``. With ``role`` they are those of one machine or pool of this role. Values are
    compared with the types of ``programs``; without it, they may have any type. What concerns no place in a patch is
    reported where the cluster file names the directory. Files that are neither YAML nor JSON, and hidden ones, are
    nobody's patches.
    """
    path = directory / name
    try:
        files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
    except (OSError, ValueError) as error:
        hint = "name a directory, relative to the cluster file, with files such as kube-apiserver+strategic.yaml"
        report.error(place, "K601", f"{shown(name)} cannot be read: {user_files.reason(error)}", hint)
        return [], []
    patches: list[Patch] = []
    problems: list[Problem] = []
    for file in files:
        if file.is_dir() or file.suffix in (*_SUFFIXES, ".yml"):
            _read_file(file, place, report, patches, problems, programs)
    for patch in patches if role else ():
        if patch.target in ADDONS:
            message = f"{shown(patch.target)} is patched for one machine, but it belongs to the cluster"
            report.error(place, "K605", message, "put it into the directory of the cluster's `patches:`")
        elif role == "node" and patch.target != "kubeletconfiguration":
            message = f"a node has no {patch.target}: its patch does nothing here"
            report.warn(place, "K917", message, "put it into the directory of a master or of the cluster")
    if not (patches or problems):
        report.warn(place, "K912", f"{shown(name)} holds no patch", f"patches are called {_FORM}")
    return patches, problems


def _read_file(
    file: Path,
    place: Node,
    report: Report,
    patches: list[Patch],
    problems: list[Problem],
    programs: Programs | None,
) -> None:
    match = _NAME.fullmatch(file.name)
    if match is None or file.is_dir():
        report.error(place, "K602", f"{shown(file.name)} is not the name of a patch", _hint(file))
        return
    text = user_files.text(file, str(file), place, report)
    read, flaws = documents(text or "")
    problems += (Problem(str(file), flaw.line, flaw.column, "", flaw.code, flaw.message, flaw.hint) for flaw in flaws)
    for document in read if not flaws else ():
        patch = Patch(match[1], match[2] or "strategic", document.value, *_place(file, document.node))
        wrong = _wrong(patch)
        if wrong:
            problems.append(Problem(patch.file, patch.line, patch.column, "", "K603", *wrong))
        elif programs is not None:
            for found in patch_types.mismatches(patch, programs.types):
                at = _place(file, node_at(document.node, found.path))
                problems.append(Problem(*at, field_path(found.path), "K606", found.message, found.hint))
        patches.append(patch)


def _hint(file: Path) -> str:
    if file.is_dir():
        return "put patches into the directory itself"
    if file.suffix not in _SUFFIXES:
        return f"rename it to {file.stem}.yaml"
    if file.name.startswith(TARGETS):
        return f"rename it to {_FORM}; types are {one_of(_TYPES)}"
    target = nearest(re.split(r"[.+]", file.name)[0].rstrip("0123456789"), TARGETS)
    return f"rename it to {_FORM}; " + (f"did you mean {target}?" if target else f"targets are {one_of(TARGETS)}")


def _place(file: Path, node: yaml.Node) -> tuple[str, int, int]:
    return str(file), node.start_mark.line + 1, node.start_mark.column + 1


def _wrong(patch: Patch) -> tuple[str, str] | None:
    """Return what is wrong with the form of a patch, and a hint."""
    if patch.kind != "json":
        if isinstance(patch.body, dict):
            return None
        return (
            f"a {patch.kind} patch must be a mapping",
            "write the fields to change under their names, as in the manifest",
        )
    hint = "write, for example: - {op: add, path: /spec/hostPID, value: true}"
    if not isinstance(patch.body, list):
        return "a JSON patch must be a list of operations", hint
    for number, operation in enumerate(patch.body, 1):
        if not _is_operation(operation):
            return f"operation {number} needs the texts `op` and `path`", hint
    return None


def _is_operation(operation: Any) -> bool:
    texts = {"from": "", **operation} if isinstance(operation, dict) else {}
    return all(isinstance(texts.get(key), str) for key in ("op", "path", "from"))
