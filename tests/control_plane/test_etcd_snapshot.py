"""A snapshot of etcd taken by kgen, and a lost master that comes back from it: the same cluster for every client."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components import golang
from tests.control_plane import deployment
from tests.control_plane.conftest import HERE
from tests.control_plane.deployment import ETCD, ETCD_DATA, Deployment, api, kubectl
from tests.control_plane.machines import Bench, Machine
from tests.control_plane.test_outside import run
from tests.installed import kgen

ADDRESS = "10.71.0.11"
PEER_URL = f"https://{ADDRESS}:2380"


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]) -> Iterator[Deployment]:
    """A cluster whose only master is up."""
    with Bench() as bench:
        cluster = Deployment.render(HERE / "one.yaml", tmp_path_factory.mktemp("lone"), bench, machines)
        cluster.first_boot(cluster.machine("m1", ADDRESS))
        yield cluster


@pytest.fixture(scope="module")
def snapshot(lone: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot that holds one ConfigMap; another one is created after it was taken."""
    m1 = lone.machines["m1"]
    path = tmp_path_factory.mktemp("snapshot") / "etcd.db"
    kubectl(m1, "create", "configmap", "before")
    status, out, err = run(m1, "etcd", "snapshot", lone.cluster_file, path)
    assert status == 0, err
    assert f"{path}: {path.stat().st_size:,} bytes from https://{ADDRESS}:2379, revision " in out
    kubectl(m1, "create", "configmap", "after")
    assert run(m1, "status", lone.cluster_file)[0] == 0
    kgen("render", lone.cluster_file, "--output", lone.outputs.parent, "--quiet")
    return path


def test_the_snapshot_is_private_and_complete(snapshot: Path, lone: Deployment) -> None:
    assert snapshot.stat().st_mode & 0o777 == 0o600
    etcdutl = golang.etcd(ETCD, ("etcdutl",)) / "etcdutl"
    status = lone.machines["m1"].check([etcdutl, "snapshot", "status", snapshot, "--write-out", "simple"])
    assert int(status.split(", ")[2]) > 100  # keys


def test_a_snapshot_replaces_no_file(snapshot: Path, lone: Deployment) -> None:
    before = snapshot.read_bytes()
    status, _, err = run(lone.machines["m1"], "etcd", "snapshot", lone.cluster_file, snapshot)
    assert (status, snapshot.read_bytes()) == (2, before)
    assert f"{snapshot} exists already" in err


def test_a_member_that_does_not_answer_is_named(lone: Deployment, snapshot: Path, tmp_path: Path) -> None:
    status, _, err = run(
        lone.machines["m1"], "etcd", "snapshot", lone.cluster_file, tmp_path / "x", "--server", f"{ADDRESS}:1"
    )
    assert status == 1
    assert f"no etcd member answers: https://{ADDRESS}:1: connection refused" in err
    assert list(tmp_path.iterdir()) == []


def replaced(lone: Deployment, *source: str | Path) -> Machine:
    """Give m1 a new disk with its document and with etcd's data restored from ``source``, and boot it."""
    m1 = lone.machines["m1"]
    hosts = (m1.root / "etc/hosts").read_text()
    shutil.rmtree(m1.root)
    deployment.write(m1.root / "etc/hosts", hosts)
    deployment.deliver(lone.user_data("m1"), m1.root)
    m1.power_on()
    said = deployment.finished(deployment.start_first_boot(m1), m1, expect=2)
    assert "this cluster has run before, but no master has data in /var/lib/etcd: etcd must not start" in said
    assert not (m1.root / "etc/kubernetes/manifests/etcd.yaml").exists()
    etcdutl = golang.etcd(ETCD, ("etcdutl",)) / "etcdutl"
    flags = ["--name=m1", f"--initial-cluster=m1={PEER_URL}", f"--initial-advertise-peer-urls={PEER_URL}"]
    m1.check([etcdutl, "snapshot", "restore", *source, *flags, f"--data-dir={m1.root / ETCD_DATA}"])
    lone.first_boot(m1)
    return m1


def test_a_lost_master_comes_back_from_the_snapshot(lone: Deployment, snapshot: Path) -> None:
    uid = api(lone.machines["m1"], "namespace", "kube-system")["metadata"]["uid"]
    lone.machines["m1"].power_off()
    m1 = replaced(lone, snapshot)
    assert api(m1, "namespace", "kube-system")["metadata"]["uid"] == uid
    assert api(m1, "configmap", "before")["metadata"]["name"] == "before"
    assert m1.run(["kubectl", "--kubeconfig", f"/{deployment.ADMIN}", "get", "configmap", "after"], chroot=True)[0] == 1
    admin = lone.outputs / "admin.conf"  # the administrator's kubeconfig from before
    listed = m1.check(["kubectl", "--kubeconfig", admin, "get", "configmap", "before", "-o", "name"])
    assert listed == "configmap/before\n"


def test_a_master_comes_back_from_the_database_of_a_member_that_has_stopped(lone: Deployment, tmp_path: Path) -> None:
    m1 = lone.machines["m1"]
    kubectl(m1, "create", "configmap", "last")
    m1.power_off()
    database = shutil.copy(m1.root / ETCD_DATA / "member/snap/db", tmp_path / "etcd.db")
    m1 = replaced(lone, database, "--skip-hash-check")
    assert api(m1, "configmap", "before")["metadata"]["name"] == "before"
