"""What is measured: `kgen render` as a user types it, and the phases of kubeadm that compute without a machine."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.components import golang

from . import measure

KUBERNETES_VERSION = "1.37.2"
KGEN = Path(sys.executable).with_name("kgen")
PHASES = ("certs", "kubeconfig", "control-plane")


def cluster_file(masters: int, nodes: int = 0, *, pool: bool = False, algorithm: str = "", runner: str = "") -> str:
    """Return a cluster file (YAML, as JSON lines) with ``nodes`` listed one by one and, if asked for, one pool."""
    lines = ["apiVersion: kgen/v1", "name: bench", f"kubernetesVersion: v{KUBERNETES_VERSION}"]
    if masters > 1:
        lines.append("controlPlaneEndpoint: api.bench.example.com:6443")
    if algorithm:
        lines.append(f"encryptionAlgorithm: {algorithm}")
    if runner:
        lines.append(f"image: {{runner: {runner}}}")
    machines = [{"name": f"m{i}", "role": "master", "address": f"10.0.0.{10 + i}"} for i in range(1, masters + 1)]
    machines += [
        {"name": f"w{i}", "role": "node", "address": f"10.{1 + i // 65536}.{i // 256 % 256}.{i % 256}"}
        for i in range(1, nodes + 1)
    ]
    lines += ["machines:", *(f"  - {json.dumps(machine)}" for machine in machines)]
    if pool:
        lines += ["pools:", '  - {"name": "workers", "role": "node"}']
    return "\n".join(lines) + "\n"


@contextmanager
def scratch(text: str) -> Iterator[Path]:
    """Give a directory of its own with ``cluster.yaml`` in it."""
    with tempfile.TemporaryDirectory(prefix="kgen-bench-") as name:
        directory = Path(name)
        (directory / "cluster.yaml").write_text(text, encoding="utf-8")
        yield directory


def render(directory: Path) -> measure.Sample:
    """Measure `kgen render cluster.yaml` in ``directory``."""
    return measure.process([KGEN, "render", "cluster.yaml"], directory)


def cold_render(text: str) -> measure.Sample:
    """Measure the first render of a cluster: no bundle, no output."""
    with scratch(text) as directory:
        return render(directory)


def kubeadm(algorithm: str = "") -> measure.Sample:
    """Measure kubeadm's phases, one process each, below a scratch root: nothing of the host's /etc is touched.

    ``--rootfs`` is kubeadm's own chroot; without root a user namespace allows it.
    """
    program = golang.kubernetes(KUBERNETES_VERSION) / "kubeadm"
    prefix = [] if os.geteuid() == 0 else [shutil.which("unshare") or "unshare", "--user", "--map-root-user"]
    with tempfile.TemporaryDirectory(prefix="kgen-bench-") as name:
        root = Path(name)
        (root / "etc/kubernetes").mkdir(parents=True)
        (root / "config.yaml").write_text(_kubeadm_config(algorithm), encoding="utf-8")
        samples = [
            measure.process(
                [*prefix, program, "init", "phase", phase, "all", "--config=/config.yaml", f"--rootfs={root}"], root
            )
            for phase in PHASES
        ]
        return sum(samples[1:], samples[0])


def _kubeadm_config(algorithm: str) -> str:
    """Return the configuration of the same cluster: an address and a name given, so kubeadm asks no network."""
    return "\n".join(
        [
            "apiVersion: kubeadm.k8s.io/v1beta4",
            "kind: InitConfiguration",
            "localAPIEndpoint: {advertiseAddress: 10.0.0.11}",
            "nodeRegistration: {name: m1}",
            "---",
            "apiVersion: kubeadm.k8s.io/v1beta4",
            "kind: ClusterConfiguration",
            f"kubernetesVersion: v{KUBERNETES_VERSION}",
            *([f"encryptionAlgorithm: {algorithm}"] if algorithm else []),
            "",
        ]
    )
