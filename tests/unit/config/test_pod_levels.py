"""Warnings about pods of manifests that ``hardening: cis`` would refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kgen.config.load import load_text

FILE = """\
apiVersion: kgen/v1
name: c
kubernetesVersion: v1.37.2
machines: [{name: m1, role: master, address: 10.0.0.1}]
manifests: [cni.yaml]
"""


def codes(directory: Path, more: str, *objects: dict[str, Any]) -> list[tuple[str, str, int]]:
    (directory / "cni.yaml").write_text(yaml.safe_dump_all(objects, explicit_start=True))
    warnings = load_text(FILE + more, str(directory / "cluster.yaml")).warnings
    return [(Path(each.file).name, each.code, each.line) for each in warnings]


def namespace(**labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cni", "labels": labels}}


def daemon_set(place: str, **spec: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "c", "image": "i", **spec.pop("container", {})}], **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": place},
        "spec": {"template": {"metadata": {}, "spec": pod}},
    }


ABOVE: tuple[dict[str, Any], ...] = (
    {"hostNetwork": True},
    {"hostPID": True},
    {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
    {"container": {"securityContext": {"privileged": True}}},
    {"container": {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}},
    {"container": {"ports": [{"containerPort": 80, "hostPort": 80}]}},
)


@pytest.mark.parametrize("spec", ABOVE, ids=lambda spec: next(iter(spec)))
def test_pods_that_need_more_than_baseline_are_named(tmp_path: Path, spec: dict[str, Any]) -> None:
    assert codes(tmp_path, "hardening: cis\n", namespace(), daemon_set("cni", **spec)) == [("cni.yaml", "K934", 8)]


def test_a_label_or_kube_system_is_enough(tmp_path: Path) -> None:
    label = {"pod-security.kubernetes.io/enforce": "privileged"}
    assert codes(tmp_path, "hardening: cis\n", namespace(**label), daemon_set("cni", hostNetwork=True)) == []
    assert codes(tmp_path, "hardening: cis\n", daemon_set("kube-system", hostNetwork=True)) == []


def test_nothing_is_said_of_ordinary_pods_or_without_pod_security(tmp_path: Path) -> None:
    small = {"securityContext": {"capabilities": {"add": ["CHOWN"], "drop": ["ALL"]}}}
    assert codes(tmp_path, "hardening: cis\n", namespace(), daemon_set("cni", container=small)) == []
    more = "hardening: cis\nhardeningExceptions: [pod-security]\n"
    assert codes(tmp_path, more, namespace(), daemon_set("cni", hostNetwork=True)) == []
    assert codes(tmp_path, "", namespace(), daemon_set("cni", hostNetwork=True)) == []


def test_a_pod_of_a_cron_job_is_found(tmp_path: Path) -> None:
    template = {"spec": {"template": {"spec": {"hostIPC": True, "containers": []}}}}
    job = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "j"}, "spec": {"jobTemplate": template}}
    assert codes(tmp_path, "hardening: cis\n", job) == [("cni.yaml", "K934", 2)]
