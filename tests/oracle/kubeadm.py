"""Runs the real kubeadm as a dry run and parses what it would have done."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.components import golang
from tests.oracle import compare
from tests.oracle.compare import Tree, View

VERSIONS = ("v1.33.13", "v1.34.4", "v1.35.4", "v1.36.3", "v1.37.2")
"""One patch of every supported minor."""

NEWEST = VERSIONS[-1]
"""This kubeadm is asked in every test run."""

RECORDED = VERSIONS[:-1]
"""The answers of these are in ``records/``; `make soak` and `make oracle` ask them again."""

CRI_SOCKET_ANNOTATION = re.compile(r'Uploading the CRI socket "(.*)" to Node "(.*)" as an annotation')

# kubeadm writes its files flat into one directory; _place returns where each would be on the node.
_MANIFESTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_KUBELET_FILES = ("config.yaml", "kubeadm-flags.env", "instance-config.yaml")
_ATTACHED = re.compile(r"\[dryrun\] Would perform action CREATE on resource .*\n\[dryrun\] Attached object:\n")

# In namespaces of its own kubeadm sees the node's host name, no network, and no port in use.
_START = "import os, socket, sys; socket.sethostname(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"


def program(version: str) -> Path:
    """Return the kubeadm of ``version``; the newest comes from the whole set, which other tests need anyway."""
    number = version.removeprefix("v")
    return (golang.kubernetes(number) if version == NEWEST else golang.kubernetes(number, ("kubeadm",))) / "kubeadm"


def init(documents: Sequence[Mapping[str, Any]], variables: Mapping[str, str]) -> View:
    """Return the view of what ``kubeadm init`` of the documents' version would make from them.

    ``variables`` are added to a bare environment.
    """
    with tempfile.TemporaryDirectory() as directory:
        return compare.view(_dry_run(documents, Path(directory), variables))


def _dry_run(documents: Sequence[Mapping[str, Any]], directory: Path, variables: Mapping[str, str]) -> Tree:
    config = directory / "kubeadm.yaml"
    config.write_text("\n---\n".join(map(json.dumps, documents)), encoding="utf-8")  # JSON: no text turns into a number
    output = directory / "output"
    output.mkdir()
    name = documents[0]["nodeRegistration"]["name"]
    kubeadm = program(documents[1]["kubernetesVersion"])
    issued = datetime.now(UTC)
    isolated = ["unshare", "--user", "--map-root-user", "--net", "--uts", sys.executable, "-I", "-c", _START, name]
    result = subprocess.run(
        [*isolated, kubeadm, "init", "-v=1", "--dry-run", "--ignore-preflight-errors=all", "--config", config],
        env={"PATH": os.environ["PATH"], "KUBEADM_INIT_DRYRUN_DIR": str(output), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, f"kubeadm init --dry-run failed:\n{result.stderr}"
    annotation = CRI_SOCKET_ANNOTATION.search(result.stderr)
    marks = {
        "labels": _marks(result.stdout, "labels"),
        "taints": _marks(result.stdout, "taints"),
        "annotations": [f"kubeadm.alpha.kubernetes.io/cri-socket={annotation[1]}"] if annotation else [],
    }
    return Tree(dict(_files(output)), list(_objects(result.stdout)), issued, marks)


def _files(output: Path) -> Iterator[tuple[str, tuple[int, bytes]]]:
    for path in output.rglob("*"):
        if path.is_file():
            yield _place(path.relative_to(output)), (path.stat().st_mode & 0o7777, path.read_bytes())


def _place(path: Path) -> str:
    if path.stem in _MANIFESTS and path.suffix == ".yaml":
        return f"/etc/kubernetes/manifests/{path}"
    if path.suffix in (".crt", ".key", ".pub"):
        return f"/etc/kubernetes/pki/{path}"
    if str(path) in _KUBELET_FILES:
        return f"/var/lib/kubelet/{path}"
    assert path.suffix == ".conf", f"kubeadm left an unknown file: {path}"
    return f"/etc/kubernetes/{path}"


def _objects(stdout: str) -> Iterator[dict[str, Any]]:
    for text in _ATTACHED.split(stdout)[1:]:
        yield compare.load_yaml(text.partition("\n\n")[0])


def _marks(stdout: str, what: str) -> list[str]:
    """Return the labels or taints with which kubeadm says it would mark the node."""
    found = re.search(rf"\[mark-control-plane\] .* by adding the {what}:? \[(.*)\]", stdout)
    return sorted(found[1].split()) if found else []
