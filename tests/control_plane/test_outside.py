"""The verbs that look at a running cluster from outside, run as a user runs them on another machine of the network."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.control_plane.conftest import ENDPOINT_HOSTS
from tests.control_plane.deployment import Deployment
from tests.control_plane.machines import Machine
from tests.installed import KGEN, kgen

MASTER = "https://10.71.0.11:6443"


def run(machine: Machine, *words: str | Path) -> tuple[int, str, str]:
    """Run kgen on the machine; return exit status, stdout and stderr."""
    error = machine.root / "tmp/stderr"
    error.parent.mkdir(exist_ok=True)
    script = 'exec "$0" "$@" 2>' + str(error)
    status, output = machine.run(["sh", "-c", script, KGEN, *words])
    return status, output, error.read_text()


def test_wait_reports_the_machines_that_are_ready(one: Deployment, w1: Machine) -> None:
    status, out, err = run(w1, "wait", one.cluster_file, "--nodes-only", "m1", "--nodes-only", "w1")
    assert (status, out.splitlines()[0].split()) == (0, ["machine", "role", "state", "kubelet", "address"]), err
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:]}
    assert rows["m1"] == ["master", "Ready", "v1.37.2", "10.71.0.11"]
    assert rows["w1"] == ["node", "Ready", "v1.37.2", "10.71.0.21"]
    assert f"  API: {MASTER} answers\n" in err


def test_wait_says_after_the_timeout_what_a_machine_lacks(one: Deployment, w1: Machine) -> None:
    status, out, err = run(w1, "wait", one.cluster_file, "--timeout", "0")
    assert (status, out) == (1, "")
    assert "1 of 3 machines is not Ready after 0s:\n  w2: not registered\n" in err


def test_wait_for_the_api_itself(one: Deployment, w1: Machine) -> None:
    status, _, err = run(w1, "wait", one.cluster_file, "--server", "10.71.0.11:1", "--timeout", "2s")
    assert status == 1
    assert "the API does not answer: https://10.71.0.11:1: connection refused" in err
    assert err.count("API:") == 1  # said once, though looked at more than once
    status, _, err = run(w1, "wait", one.cluster_file, "--server", "10.71.0.99", "--timeout", "0")
    assert (status, "https://10.71.0.99:6443: no route to host" in err or "no answer within" in err) == (1, True), err


def test_another_clusters_bundle_is_refused_at_once(one: Deployment, w1: Machine, tmp_path: Path) -> None:
    for name in ("one.yaml", "one-manifests.yaml"):
        shutil.copy(one.cluster_file.with_name(name), tmp_path / name)
    other = tmp_path / "one.yaml"
    kgen("render", other, "--output", tmp_path / "outputs", "--quiet")
    status, out, err = run(w1, "wait", other)
    assert (status, out) == (2, "")
    assert f"{MASTER} belongs to another cluster" in err


def test_a_tunnel_can_be_the_server(one: Deployment, m1: Machine) -> None:
    # 127.0.0.1 is in no certificate; that the API server also listens there stands for the end of a tunnel.
    words = ["--nodes-only", "m1", "--server", "https://127.0.0.1:6443"]
    status, out, err = run(m1, "wait", one.cluster_file, *words)
    assert (status, "m1" in out) == (0, True), err


def test_masters_are_asked_if_the_endpoint_does_not_answer(three: Deployment) -> None:
    w7 = three.machines["w7"]
    hosts = w7.root / "etc/hosts"
    whole = hosts.read_text()
    assert ENDPOINT_HOSTS in whole
    for lines, answers in ((whole, "api.three.example"), (whole.replace(ENDPOINT_HOSTS, ""), "10.73.0.1")):
        hosts.write_text(lines)
        try:
            status, out, err = run(w7, "wait", three.cluster_file)
        finally:
            hosts.write_text(whole)
        assert (status, out.count("Ready")) == (0, 4), err
        assert re.search(rf"https://{re.escape(answers)}\d?:6443 answers", err), err
