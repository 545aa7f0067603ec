"""The contents of ``files:`` and ``staticPods:``, and the machines that get them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from kgen.config import user_files
from kgen.errors import Problem
from kgen.facts import names
from kgen.model import File, Role
from kgen.reader.objects import Draft
from kgen.reader.report import Report

_ROLES: tuple[Role, ...] = ("master", "node")


class MachineFiles:
    """The user's files: those of the cluster by role, and those of machines and pools."""

    def __init__(self, root: Draft, directory: Path, report: Report) -> None:
        """Read the sources, which are relative to ``directory``. What is wrong is in ``report`` and ``problems``."""
        self._directory = directory
        self._report = report
        self.problems: list[Problem] = []
        self._of_role: dict[Role, dict[PurePosixPath, File]] = {"master": {}, "node": {}}
        self._of_machine: dict[int, dict[PurePosixPath, File]] = {}
        for entry, file in self._files(root):
            for role in [entry.get("role")] if entry.get("role") else _ROLES:
                self._add(self._of_role[role], entry, file)
        for holder in (*root.drafts("machines"), *root.drafts("pools")):
            if holder.is_given("files") or holder.is_given("staticPods"):
                own = self._of_machine[id(holder)] = {}
                for entry, file in self._files(holder):
                    self._add(own, entry, file)
        self.units = dict(self._units(root.section("image")))
        """The units of the image, with the texts of their files."""
        self._shared = {role: tuple(files.values()) for role, files in self._of_role.items()}

    def of(self, holder: Draft) -> tuple[File, ...]:
        """Return the files of a machine or pool: the cluster's for its role, replaced and completed by its own."""
        role = holder.get("role")
        own = self._of_machine.get(id(holder))
        return tuple({**self._of_role[role], **own}.values()) if own else self._shared[role]

    def _add(self, files: dict[PurePosixPath, File], entry: Draft, file: File) -> None:
        if file.path in files:
            message = f"{file.path} is given twice for the same machines"
            self._report.error(entry.node, "K322", message, "keep one of them")
        below = [other for other in files if file.path in other.parents or other in file.path.parents]
        if below:
            message = f"{file.path} and {below[0]} cannot both be there: one is a directory of the other"
            self._report.error(entry.node, "K351", message, "use another path for one of them")
        files[file.path] = file

    def _files(self, holder: Draft) -> Iterator[tuple[Draft, File]]:
        for entry in holder.drafts("files"):
            text, path = self._text(entry), entry.get("path")
            if text is not None and path is not None:
                default = 0o600 if names.KUBERNETES_DIR in path.parents else 0o644
                mode = entry.get("mode")
                yield entry, File(path, text, default if mode is None else mode, entry.get("owner") or "")
        for entry in holder.drafts("staticPods"):
            text = self._text(entry)
            if text is not None:
                pod = self._static_pod(entry, text)
                if pod is not None:
                    yield entry, pod

    def _units(self, image: Draft) -> Iterator[tuple[str, str | None]]:
        for entry, _ in image.items("units"):
            if isinstance(entry, str):
                yield entry, None
            elif entry.get("name") is not None:
                yield entry.get("name"), self._text(entry)

    def _text(self, entry: Draft) -> str | None:
        """Return the text of an entry; None if it could not be read, which the report says."""
        if entry.is_given("content") == entry.is_given("source"):
            return None
        name = entry.get("source")
        if name is None:
            text: str | None = entry.get("content")
            return text
        return user_files.text(self._directory / name, name, entry.at("source"), self._report, is_exact=True)

    def _static_pod(self, entry: Draft, text: str) -> File | None:
        from kgen.config import static_pods  # most clusters have none

        source = entry.get("source")
        pod, problems = static_pods.read(str(self._directory / source) if source else "", text)
        for problem in problems:
            if source:
                self.problems.append(problem)
            else:
                message = f"line {problem.line} of the content: {problem.message}"
                self._report.error(entry.at("content"), problem.code, message, problem.hint)
        return pod
