"""The road from kubeadm to kgen: a control plane that the real kubeadm made is imported, and kgen's node joins it."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.components import golang
from tests.control_plane import deployment
from tests.control_plane.deployment import ETCD, ETCD_TAG, KUBERNETES, Deployment, api, kubectl
from tests.control_plane.machines import Bench, Machine, until
from tests.control_plane.test_outside import KGEN
from tests.installed import kgen

ADDRESS = "10.75.0.11"
NODE_ADDRESS = "10.75.0.21"
PATIENCE_SECONDS = 300  # kubeadm and kgen start on a machine that other tests keep busy
CONFIGURATION = f"""\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: {ADDRESS}, bindPort: 7443}}
nodeRegistration:
  name: m1
  kubeletExtraArgs:
    - {{name: node-ip, value: {ADDRESS}}}
    - {{name: node-labels, value: rack=r7}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v{KUBERNETES}
clusterName: legacy
encryptionAlgorithm: ECDSA-P256
networking: {{podSubnet: 10.244.0.0/16, serviceSubnet: 172.20.0.0/16}}
apiServer:
  certSANs: [legacy.example.com]
  extraArgs: [{{name: profiling, value: "false"}}]
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 90
"""
BEFORE_THE_KUBELET = ("certs all", "kubeconfig all", "etcd local", "control-plane all", "kubelet-start")
AFTER_THE_KUBELET = ("upload-config all", "mark-control-plane", "bootstrap-token", "addon all")


def switch_on(bench: Bench, directory: Path, known: list[Machine]) -> Machine:
    """Return a machine with kubeadm and the components, and without anything of kgen."""
    kubernetes, etcd = golang.kubernetes(KUBERNETES), golang.etcd(ETCD)
    components = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    images = {f"{component}:v{KUBERNETES}": kubernetes / component for component in components}
    machine = Machine(
        "m1",
        ADDRESS,
        directory / "machines" / "m1",
        programs=[kubernetes / "kubeadm", kubernetes / "kubectl"],
        images={**images, f"etcd:{ETCD_TAG}": etcd / "etcd"},
    )
    deployment.write(machine.root / "etc/hosts", f"127.0.0.1 localhost\n{ADDRESS} m1\n")
    deployment.write(machine.root / "etc/kubeadm.yaml", CONFIGURATION)
    known.append(machine)
    return bench.add(machine)


def phases(machine: Machine, names: tuple[str, ...]) -> None:
    for name in names:
        machine.check(["kubeadm", "init", "phase", *name.split(), "--config", "/etc/kubeadm.yaml"], chroot=True)


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]) -> Iterator[tuple[Bench, Machine]]:
    """A master that kubeadm made, and its network."""
    with Bench() as bench:
        m1 = switch_on(bench, tmp_path_factory.mktemp("legacy"), machines)
        phases(m1, BEFORE_THE_KUBELET)
        m1.check([*shlex.split(deployment.kubelet_command(m1)), "start"])
        ready = ["kubectl", "--kubeconfig", f"/{deployment.SUPER_ADMIN}", "get", "--raw", "/readyz"]
        until("API server", lambda: m1.run(ready, chroot=True)[0] == 0, seconds=PATIENCE_SECONDS)
        until(
            "Node m1", lambda: m1.run([*ready[:3], "get", "node", "m1"], chroot=True)[0] == 0, seconds=PATIENCE_SECONDS
        )
        phases(m1, AFTER_THE_KUBELET)
        yield bench, m1


@pytest.fixture(scope="module")
def imported(
    legacy: tuple[Bench, Machine], tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]
) -> Deployment:
    """The cluster file and the bundle that kgen made from the running cluster, rendered."""
    bench, m1 = legacy
    directory = tmp_path_factory.mktemp("imported")
    pki = shutil.copytree(m1.root / "etc/kubernetes/pki", directory / "pki")
    cluster_file = directory / "legacy.yaml"
    options = ["--kubeconfig", m1.root / deployment.ADMIN, "--pki", pki, "--output", cluster_file]
    output = m1.check([KGEN, "import", "--running", *options, "--node", f"w1={NODE_ADDRESS}"], seconds=PATIENCE_SECONDS)
    assert "warning" not in output
    described = yaml.safe_load(cluster_file.read_text(encoding="utf-8"))
    ignored = yaml.safe_load((Path(__file__).parent / "one.yaml").read_text(encoding="utf-8"))["nodeRegistration"]
    cluster_file.write_text(yaml.safe_dump({**described, "nodeRegistration": ignored}), encoding="utf-8")
    kgen("render", cluster_file, "--output", directory / "outputs", "--quiet", "--no-new-secrets")
    return Deployment(cluster_file, directory / "outputs" / "legacy", directory, bench, machines)


def test_the_cluster_file_says_what_kubeadm_was_told(imported: Deployment) -> None:
    described = yaml.safe_load(imported.cluster_file.read_text(encoding="utf-8"))
    described.pop("nodeRegistration")
    kubelet = described.pop("kubelet")
    assert kubelet["maxPods"] == 90
    assert described == {
        "apiVersion": "kgen/v1",
        "name": "legacy",
        "kubernetesVersion": f"v{KUBERNETES}",
        "clusterName": "legacy",
        "machines": [
            {"name": "m1", "role": "master", "address": ADDRESS, "labels": {"rack": "r7"}},
            {"name": "w1", "role": "node", "address": NODE_ADDRESS},
        ],
        "networking": {"podSubnet": "10.244.0.0/16", "serviceSubnet": "172.20.0.0/16"},
        "apiServer": {
            "certSANs": ["legacy.example.com"],
            "extraArgs": [{"name": "profiling", "value": "false"}],
        },
        "encryptionAlgorithm": "ECDSA-P256",
        "localAPIEndpoint": {"bindPort": 7443},
    }


@pytest.mark.parametrize(
    ("name", "key"),
    [("kubeadm-config", "ClusterConfiguration"), ("kubelet-config", "kubelet"), ("kube-proxy", "config.conf")],
)
def test_kgen_renders_the_configuration_that_kubeadm_uploaded(
    imported: Deployment, legacy: tuple[Bench, Machine], name: str, key: str
) -> None:
    live = api(legacy[1], "configmap", name, "-n", "kube-system")
    (rendered,) = [
        each for each in imported.published() if (each["kind"], each["metadata"]["name"]) == ("ConfigMap", name)
    ]
    assert yaml.safe_load(rendered["data"][key]) == yaml.safe_load(live["data"][key])
    assert _hash(rendered) == _hash(live)


def _hash(config_map: dict[str, Any]) -> str | None:
    found: dict[str, str] = config_map["metadata"].get("annotations", {})
    return found.get("kubeadm.kubernetes.io/component-config.hash")


def test_kgens_verbs_work_on_the_cluster(imported: Deployment, legacy: tuple[Bench, Machine], tmp_path: Path) -> None:
    m1 = legacy[1]
    assert "m1" in m1.check([KGEN, "status", imported.cluster_file], seconds=PATIENCE_SECONDS)
    snapshot = tmp_path / "etcd.db"
    m1.check([KGEN, "etcd", "snapshot", imported.cluster_file, snapshot], seconds=PATIENCE_SECONDS)
    assert snapshot.exists()


def test_a_master_of_the_bundle_starts_no_empty_etcd(imported: Deployment) -> None:
    assert "seenRunning:" in imported.cluster_file.with_name("legacy.secrets.yaml").read_text(encoding="utf-8")


def test_a_node_with_kgens_user_data_joins_kubeadms_cluster(
    imported: Deployment, legacy: tuple[Bench, Machine]
) -> None:
    m1 = legacy[1]
    m1.check([KGEN, "token", "renew", imported.cluster_file], seconds=PATIENCE_SECONDS)
    w1 = imported.machine("w1", NODE_ADDRESS)
    imported.first_boot(w1)
    assert "w1" in kubectl(m1, "get", "nodes", "-o", "name")
