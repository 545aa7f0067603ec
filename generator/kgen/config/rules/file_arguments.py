"""Rules about arguments of static pods that name a file: the pod sees only what a volume shows."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from kgen.config.rules.arguments import OWN_FILES, PROGRAMS, RESERVED
from kgen.config.rules.facts import Facts
from kgen.facts import apiserver_files, names, own_paths
from kgen.facts.apiserver_files import ANONYMOUS
from kgen.reader.objects import Draft
from kgen.reader.report import Report

_READ = ("*-file", "*-config", "*-manifest", "config", "kubelet-certificate-authority")
"""Patterns of the flags that name a file to read; all of kube-apiserver, kube-controller-manager and kube-scheduler."""

_THERE = ("File", "Directory", "Socket")
_WRITTEN = ("audit-log-path",)
_COMPONENTS = ("apiServer", "controllerManager", "scheduler")
_MOUNTED = {
    "apiServer": (str(names.PKI_DIR), *names.CA_DIRECTORIES.values()),
    "controllerManager": (str(names.PKI_DIR), *names.CA_DIRECTORIES.values()),
    "scheduler": (),
}
"""The directories that every static pod of a component sees."""


def files_are_mounted(facts: Facts, report: Report) -> None:
    """A file that an argument names is in a directory that the static pod sees."""
    for component, argument, path in _files(facts, (*_READ, *_WRITTEN)):
        name = argument.get("name")
        mounted = (*_MOUNTED[component], *(mount for mount, _ in _volumes(facts, component)))
        if any(PurePosixPath(path).is_relative_to(mount) for mount in mounted):
            continue
        key = f"add to {component}.extraVolumes:"
        if name in _WRITTEN:
            directory = PurePosixPath(path).parent
            volume = f"{{name: {name}, hostPath: {directory}, mountPath: {directory}, pathType: DirectoryOrCreate}}"
            message = f"{path} is in no volume: the file is lost when the container ends"
            report.warn(argument.at("value"), "K932", message, f"{key} - {volume}")
        else:
            volume = f"{{name: {name}, hostPath: {path}, mountPath: {path}, readOnly: true}}"
            message = f"no volume shows {path} to the static pod: the program would not start"
            report.error(argument.at("value"), "K365", message, f"{key} - {volume}")


def files_are_there(facts: Facts, report: Report) -> None:
    """A file that an argument names comes from kgen, from ``files:``, or by the user's word from the image.

    The word is the volume's ``pathType``: with ``File`` or ``Directory`` the kubelet wants it to be there.
    """
    for component, argument, path in _files(facts, _READ):
        shown = [
            (mount, volume) for mount, volume in _volumes(facts, component) if PurePosixPath(path).is_relative_to(mount)
        ]
        on_the_machine = path
        if shown:
            mount, volume = max(shown, key=lambda pair: len(pair[0]))
            if volume.get("pathType") in _THERE or volume.get("hostPath") is None:
                continue
            on_the_machine = str(PurePosixPath(volume.get("hostPath")) / PurePosixPath(path).relative_to(mount))
        elif not any(PurePosixPath(path).is_relative_to(mount) for mount in _MOUNTED[component]):
            continue  # another rule reports that nothing shows it
        if component == "apiServer" and PurePosixPath(on_the_machine).is_relative_to(apiserver_files.DIRECTORY):
            message = f"{on_the_machine} is there only if a key below apiServer brings it"
            report.error(argument.at("value"), "K366", message, _key_instead(argument.get("name")))
            continue
        if _is_kgens(on_the_machine):
            continue
        lacking = [str(master.get("name")) for master in facts.masters if on_the_machine not in _shipped(facts, master)]
        if lacking:
            message = f"nobody brings {on_the_machine} to {', '.join(lacking)}: {PROGRAMS[component]} would not start"
            name = PurePosixPath(on_the_machine).name
            hint = f"add to files: - {{path: {on_the_machine}, source: {name}, role: master}}"
            word = (
                "give its volume pathType: File or Directory" if shown else "mount it with extraVolumes, pathType: File"
            )
            report.error(argument.at("value"), "K366", message, f"{hint}; if the image has it, {word}")


def _key_instead(flag: str) -> str:
    """Return a hint with the key that brings the file of a flag."""
    key = next((row.key for row in apiserver_files.ROWS if row.flag == flag), "")
    if flag == apiserver_files.ENCRYPTION_FLAG:
        key = "encryption"
    return f"use apiServer.{key} instead of the argument" if key else "use a file in another directory"


def _is_kgens(path: str) -> bool:
    """Return whether kgen brings the file, or the image's package of CA certificates."""
    is_own = path.startswith(f"{names.KUBERNETES_DIR}/") and bool(own_paths.instead(path))
    return is_own or any(PurePosixPath(path).is_relative_to(place) for place in names.CA_DIRECTORIES.values())


def _shipped(facts: Facts, master: Draft) -> set[str]:
    """Return the paths of the user's files on a master, those of cloud-init's ``write_files`` too."""
    entries = [entry for entry in facts.root.drafts("files") if entry.get("role") in (None, "master")]
    cloud_init = {**(facts.root.get("cloudInit") or {}), **(master.get("cloudInit") or {})}
    written = cloud_init.get("write_files")
    found = {str(entry.get("path")) for entry in (*entries, *master.drafts("files"))}
    return found | {str(each.get("path")) for each in written or () if isinstance(each, dict)}


def _files(facts: Facts, patterns: tuple[str, ...]) -> Iterator[tuple[str, Draft, str]]:
    """Yield the arguments whose value is the path of a file, each with its component and the path."""
    for component in _COMPONENTS:
        for argument in facts.root.section(component).drafts("extraArgs"):
            name, value = argument.get("name") or "", argument.get("value") or ""
            is_ours = (component, name) not in OWN_FILES and any(row.matches(component, name) for row in RESERVED)
            if value.startswith("/") and not is_ours and any(fnmatchcase(name, pattern) for pattern in patterns):
                yield component, argument, value


def _volumes(facts: Facts, component: str) -> Iterator[tuple[str, Draft]]:
    for volume in facts.root.section(component).drafts("extraVolumes"):
        if volume.get("mountPath"):
            yield volume.get("mountPath"), volume


def health_needs_no_credential(facts: Facts, report: Report) -> None:
    """The kubelet asks the API server for its health without a credential."""
    for argument in facts.root.section("apiServer").drafts("extraArgs"):
        if argument.get("name") == "anonymous-auth" and argument.get("value") in (
            "false",
            "False",
            "FALSE",
            "f",
            "F",
            "0",
        ):
            message = "the kubelet's probes have no credential: it would restart kube-apiserver again and again"
            hint = f"name a file at apiServer.authenticationConfig, and in it {ANONYMOUS}"
            report.error(argument.at("value"), "K367", message, hint)
