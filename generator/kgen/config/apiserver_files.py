"""The configuration files of kube-apiserver that the cluster file names: read, checked, and put on the masters.

Each is a file on every master, an argument and a volume. Argument and volume are in kubeadm-config, too, so that
``kubeadm upgrade`` keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from kgen.config import unknown_names, user_files
from kgen.config.kubernetes_yaml import documents, node_at
from kgen.config.rules.facts import Facts
from kgen.config.typed import field_path
from kgen.errors import Problem
from kgen.facts import apiserver_files as table
from kgen.facts import versions
from kgen.facts.apiserver_files import Row
from kgen.facts.programs import Programs
from kgen.model import Argument, Cluster, File, Machine, Volume
from kgen.reader.objects import Draft
from kgen.reader.report import Report, all_of, one_of, shown

_LEVELS = ("None", "Metadata", "Request", "RequestResponse")
_HOW_TO_LEVEL = "write Metadata, Request or RequestResponse, spelled like that"
_NAME_A_PLUGIN = "write the name of an admission plugin"
_PEM = "-----BEGIN CERTIFICATE-----"
_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Found:
    """The files that the cluster file names, by the flag that names each on a master, and what is wrong in them."""

    files: tuple[tuple[Row, str], ...]
    problems: tuple[Problem, ...]


def read(root: Draft, directory: Path, report: Report) -> Found:
    """Return the files of ``apiServer``, which are relative to ``directory``."""
    section = root.section("apiServer")
    files: list[tuple[Row, str]] = []
    problems: list[Problem] = []
    for row in table.ROWS:
        name = section.get(row.key)
        if name:
            text = user_files.text(directory / name, name, section.at(row.key), report)
            if text is not None:
                files.append((row, text))
                problems += _Checked(Facts(root), row, str(directory / name), text).problems()
    return Found(tuple(files), tuple(problems))


def with_files(cluster: Cluster, files: Sequence[tuple[Row, str]]) -> Cluster:
    """Return the cluster whose API servers read ``files``, and an EncryptionConfiguration if it says so.

    That file's content is not known yet: its keys are in the bundle.
    """
    is_encrypted = bool(cluster.api_server.encryption.provider)
    if not files and not is_encrypted:
        return cluster
    arguments = [Argument(row.flag, str(row.path)) for row, _ in files]
    if is_encrypted:
        arguments.append(Argument(table.ENCRYPTION_FLAG, str(table.ENCRYPTION_PATH)))
    volumes = [Volume(table.VOLUME, str(table.DIRECTORY), str(table.DIRECTORY), True, "DirectoryOrCreate")]
    given = {argument.name for argument in cluster.api_server.extra_args}
    if any(row.flag == "audit-policy-file" for row, _ in files) and given.isdisjoint(table.AUDIT_BACKENDS):
        arguments += [Argument(name, value) for name, value in table.AUDIT_DEFAULTS.items() if name not in given]
        log = str(table.AUDIT_LOG.parent)
        volumes.append(Volume(table.AUDIT_LOG_VOLUME, log, log, False, "DirectoryOrCreate"))
    return with_parts(cluster, [File(row.path, text, _MODE) for row, text in files], arguments, volumes)


def with_parts(
    cluster: Cluster, files: Sequence[File], arguments: Sequence[Argument], volumes: Sequence[Volume]
) -> Cluster:
    """Return the cluster with more files on the masters, and more arguments and volumes of the API servers.

    A volume that is there already stays once.
    """
    server = cluster.api_server
    more = [volume for volume in volumes if volume not in server.extra_volumes]
    changed = replace(server, extra_args=(*server.extra_args, *arguments), extra_volumes=(*server.extra_volumes, *more))

    def with_these(machine: Machine) -> Machine:
        return replace(machine, files=(*machine.files, *files)) if machine.role == "master" else machine

    return replace(cluster, api_server=changed, machines=tuple(map(with_these, cluster.machines)))


def _other_plugin(name: str, programs: Programs) -> str:
    known = programs.admission_plugins
    return unknown_names.hint(name, known, lambda table: name in table.admission_plugins, otherwise=_NAME_A_PLUGIN)


class _Checked:
    """The checks of one file, for what would keep kube-apiserver from starting or from being healthy."""

    def __init__(self, facts: Facts, row: Row, file: str, text: str) -> None:
        self._facts = facts
        self._row = row
        self._file = file
        self._text = text
        self._root: yaml.Node | None = None

    def problems(self) -> Iterator[Problem]:
        if not self._row.kind:
            if _PEM not in self._text:
                yield Problem(self._file, 1, 1, "", "K701", "has no certificate", f"give PEM text: {_PEM}")
            return
        read, flaws = documents(self._text)
        for flaw in flaws:
            yield Problem(self._file, flaw.line, flaw.column, "", flaw.code, flaw.message, flaw.hint)
        if flaws:
            return
        if len(read) != 1 or not isinstance(read[0].value, dict):
            message = f"must hold one {self._row.kind}"
            yield Problem(self._file, 1, 1, "", "K701", message, f"begin it with `kind: {self._row.kind}`")
            return
        self._root, value = read[0].node, read[0].value
        yield from self._type(value)
        check = {
            "Policy": self._policy,
            "AdmissionConfiguration": self._admission,
            "AuthenticationConfiguration": self._authentication,
        }.get(self._row.kind)
        if check is not None:
            yield from check(value)

    def _problem(self, path: Sequence[str | int], message: str, hint: str, code: str = "K701") -> Problem:
        assert self._root is not None  # noqa: S101 set before any check of the content
        mark = node_at(self._root, path).start_mark
        return Problem(self._file, mark.line + 1, mark.column + 1, field_path(tuple(path)), code, message, hint)

    def _type(self, value: dict[str, Any]) -> Iterator[Problem]:
        if value.get("kind") != self._row.kind:
            yield self._problem(["kind"], f"must be {self._row.kind}", f"write `kind: {self._row.kind}`")
        version = self._facts.version
        known = [
            name
            for name, since in self._row.versions.items()
            if version is None or versions.has_reached(version, since)
        ]
        if value.get("apiVersion") not in known:
            message = f"{shown(str(value.get('apiVersion')))} is not known to this version for {self._row.kind}"
            yield self._problem(["apiVersion"], message, f"write {one_of(known)}")

    def _policy(self, value: dict[str, Any]) -> Iterator[Problem]:
        rules = value.get("rules")
        if not isinstance(rules, list) or not rules:
            yield self._problem(
                ["rules"], "has no rules: kube-apiserver refuses it", "add `rules: [{level: Metadata}]`"
            )
            return
        for number, rule in enumerate(rules):
            level = rule.get("level") if isinstance(rule, dict) else None
            if level not in _LEVELS:
                yield self._problem(["rules", number, "level"], f"{shown(str(level))} is not a level", _HOW_TO_LEVEL)

    def _admission(self, value: dict[str, Any]) -> Iterator[Problem]:
        plugins = value.get("plugins")
        names = []
        programs = self._facts.programs
        for number, plugin in enumerate(plugins if isinstance(plugins, list) else ()):
            name = plugin.get("name") if isinstance(plugin, dict) else None
            if name in names:
                yield self._problem(
                    ["plugins", number, "name"], f"{shown(str(name))} is given twice", "keep one of them"
                )
            elif programs is not None and name not in programs.admission_plugins:
                message = f"{programs.version}: kube-apiserver has no admission plugin {shown(str(name))}"
                yield self._problem(["plugins", number, "name"], message, _other_plugin(str(name), programs))
            names.append(name)
            path = plugin.get("path") if isinstance(plugin, dict) else None
            if path and not str(path).startswith("/"):
                message = f"{shown(str(path))} is not on the masters"
                yield self._problem(
                    ["plugins", number, "path"], message, "put its content below `configuration:` instead"
                )

    def _authentication(self, value: dict[str, Any]) -> Iterator[Problem]:
        anonymous = value.get("anonymous")
        is_limited = isinstance(anonymous, dict) and (anonymous.get("enabled") is False or anonymous.get("conditions"))
        line = self._facts.hardening_line
        if line and not is_limited and "1.2.1" not in (self._facts.root.get("hardeningExceptions") or ()):
            message = f"anonymous requests are not limited, which contradicts `hardening: cis` in line {line} (1.2.1)"
            yield self._problem(["anonymous"], message, f"write {table.ANONYMOUS}", "K751")
        if not isinstance(anonymous, dict):
            return
        for argument in self._facts.root.section("apiServer").drafts("extraArgs"):
            if argument.get("name") == "anonymous-auth":
                message = "anonymous requests are configured here and by the argument anonymous-auth"
                yield self._problem(["anonymous"], message, "remove the argument from the cluster file", "K702")
        conditions = anonymous.get("conditions")
        paths = [each.get("path") for each in conditions or () if isinstance(each, dict)]
        lacking = [path for path in table.HEALTH_PATHS if conditions is not None and path not in paths]
        if anonymous.get("enabled") is False:
            lacking = list(table.HEALTH_PATHS)
        if lacking:
            message = (
                f"anonymous requests to {all_of(lacking)} are refused: the kubelet's probes have no credential,"
                " and it would restart kube-apiserver again and again"
            )
            yield self._problem(["anonymous"], message, f"write {table.ANONYMOUS}", "K367")
