"""The loader of cluster files: it returns the cluster, or reports every problem at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from kgen.config import apiserver_files, build, external_etcd, hardening, pod_levels, rules
from kgen.config.fields import CLUSTER
from kgen.config.machine_files import MachineFiles
from kgen.config.rules.facts import Facts
from kgen.errors import InputError, Problem, ProblemsError
from kgen.model import Cluster, Manifest, Patch, Role
from kgen.output.disk import read_plain_file
from kgen.reader.kinds import BAD
from kgen.reader.objects import Draft
from kgen.reader.report import Finding, Report
from kgen.reader.tree import compose

_LARGEST_BYTES = 64 * 2**20
_HINTS = {
    "K004": "keep one cluster in one file; component configuration goes below `kubelet:` and `kubeProxy:`",
    "K005": "`kgen init` writes one to start from",
    "K011": "write the keys out; what machines share goes below the cluster's `nodeRegistration:` or into a pool",
}
"""Hints about the YAML of a file that only fit a cluster file."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid cluster, and the warnings about its file."""

    cluster: Cluster
    warnings: tuple[Problem, ...]


def load(path: Path | str) -> Loaded:
    """Return the cluster that the file at ``path`` describes.

    Raises:
        ProblemsError: every problem of the file, with its place.
        InputError: the file cannot be read, or is not UTF-8 text.
    """
    return load_text(_read(Path(path)), str(path))


def load_text(text: str, file: str) -> Loaded:
    """Return the cluster that ``text`` describes; problems name it ``file``.

    Files that it names are relative to it.

    Raises:
        ProblemsError: every problem of the text, with its place.
    """
    report = Report(_reword)
    root, flaws = compose(text)
    for flaw in flaws:
        report.flaw(flaw)
    draft = CLUSTER.read(root, report) if root is not None else BAD
    if draft is BAD:
        draft = None
    else:
        rules.check(Facts(draft), report)
    directory = Path(file).parent
    objects, problems = _manifests(draft, directory, report)
    patches, more = _patches(draft, directory, report)
    files = MachineFiles(draft, directory, report) if draft is not None else None
    etcd = external_etcd.read(draft, directory, file, report) if draft is not None else None
    configurations = apiserver_files.read(draft, directory, report) if draft is not None else None
    problems += configurations.problems if configurations else ()
    errors, warnings = report.problems(file, root)
    if errors or problems or more or draft is None or files is None or configurations is None or files.problems:
        raise ProblemsError((*errors, *problems, *more, *(files.problems if files else ())))
    cluster = replace(build.cluster(draft, files, patches, etcd), manifests=objects)
    hardened = apiserver_files.with_files(*hardening.hardened(cluster, configurations.files))
    return Loaded(hardened, (*warnings, *pod_levels.warnings(objects, Facts(draft))))


def _reword(finding: Finding) -> Finding:
    return replace(finding, hint=_HINTS.get(finding.code, finding.hint))


def _manifests(draft: Draft | None, directory: Path, report: Report) -> tuple[tuple[Manifest, ...], list[Problem]]:
    entries = list(draft.items("manifests")) if draft is not None else []
    if not entries:
        return (), []
    from kgen.config import manifests  # most clusters have none

    objects, problems = manifests.read(entries, directory, report)
    return tuple(objects), problems


def _patches(
    draft: Draft | None, directory: Path, report: Report
) -> tuple[dict[int, tuple[Patch, ...]], list[Problem]]:
    """Return the patches of the cluster and of its machines and pools, by the identity of their drafts."""
    found: dict[int, tuple[Patch, ...]] = {}
    problems: list[Problem] = []
    if draft is None:
        return found, problems
    holders = (draft, *draft.drafts("machines"), *draft.drafts("pools"))
    for holder in [holder for holder in holders if holder.is_given("patches")]:
        section = holder.section("patches")
        if section.get("directory"):
            from kgen.config import patches  # most clusters have none

            role: Role | None = None if holder is draft else holder.get("role")
            read, more = patches.read(
                section.get("directory"), section.at("directory"), directory, report, Facts(draft).programs, role
            )
            if Facts(draft).has_external_etcd and any(patch.target == "etcd" for patch in read):
                message = "the masters run no etcd: its patch does nothing"
                report.warn(section.at("directory"), "K917", message, "remove the patch")
            found[id(holder)] = tuple(read)
            problems += more
    return found, list(dict.fromkeys(problems))


def _read(path: Path) -> str:
    try:
        content = read_plain_file(path, _LARGEST_BYTES + 1)
    except IsADirectoryError:
        raise InputError(f"{path} is a directory", "give the cluster file inside it") from None
    except FileNotFoundError:
        raise InputError(f"{path} does not exist", "`kgen init` writes a cluster file to start from") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path} cannot be read: {reason}") from error
    if len(content) > _LARGEST_BYTES:
        raise InputError(
            f"{path} is larger than {_LARGEST_BYTES // 2**20} MiB", "check the path: no cluster file is that large"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}:{line}: not UTF-8 text", "save the file with the encoding UTF-8") from None
