"""What the stock ``kubeadm join`` does on a node of the running cluster, against what kgen rendered for that node."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.control_plane.deployment import DRY_RUN, Deployment, dry_run_join, join_command, write
from tests.control_plane.machines import Machine
from tests.oracle import compare

# File of the review tree by the name that a dry run gives it.
FILES = {
    "ca.crt": "etc/kubernetes/pki/ca.crt",
    "bootstrap-kubelet.conf": "etc/kubernetes/bootstrap-kubelet.conf",
    "config.yaml": "var/lib/kubelet/config.yaml",
    "instance-config.yaml": "var/lib/kubelet/instance-config.yaml",
    "kubeadm-flags.env": "var/lib/kubelet/kubeadm-flags.env",
}


@pytest.fixture(scope="module")
def w2(one: Deployment) -> Machine:
    """A node of the cluster file that never ran its own first boot."""
    return one.machine("w2", "10.71.0.22")


def test_the_printed_join_command_works(one: Deployment, w2: Machine) -> None:
    assert "This node has joined the cluster" in dry_run_join(w2, *join_command(one))


def test_kubeadm_would_write_the_files_that_kgen_rendered(one: Deployment, w2: Machine) -> None:
    endpoint, _, token, _, pin = join_command(one)
    registration = {
        "name": "w2",
        "kubeletExtraArgs": [{"name": "node-ip", "value": "10.71.0.22"}, {"name": "node-labels", "value": "rack=r8"}],
    }
    discovery = {"apiServerEndpoint": endpoint, "token": token, "caCertHashes": [pin]}
    document = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "JoinConfiguration",
        "discovery": {"bootstrapToken": discovery},
        "nodeRegistration": registration,
    }
    write(w2.root / "etc/join.yaml", yaml.safe_dump(document), 0o600)
    dry_run_join(w2, "--config", "/etc/join.yaml")
    written = w2.root / DRY_RUN.lstrip("/")
    assert sorted(path.name for path in written.iterdir()) == sorted(FILES)
    ours = {path: one.review("w2") / path for path in FILES.values()}
    theirs = {path: written / name for name, path in FILES.items()}
    assert compare.differences(_view(ours), _view(theirs)) == []


def _view(files: Mapping[str, Path]) -> compare.View:
    read = {f"/{path}": (stat.S_IMODE(file.stat().st_mode), file.read_bytes()) for path, file in files.items()}
    return compare.view(compare.Tree(files=read, objects=(), issued=datetime.now(UTC)))
