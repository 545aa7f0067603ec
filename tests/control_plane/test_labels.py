"""Labels that a kubelet may not set, set by the program of the masters' timer on the real API server."""

from __future__ import annotations

import json
import sys

from tests.control_plane import deployment
from tests.control_plane.deployment import Deployment, api
from tests.control_plane.machines import Machine

RESERVED = {"node-role.kubernetes.io/web": "", "node-restriction.kubernetes.io/team": "blue"}
NOT_THERE_YET = "w9"


def labelled(machine: Machine) -> str:
    """Do what the timer does each minute, with a systemctl that says what it was asked for."""
    program = machine.root / "usr/local/bin/systemctl"
    machine.check(["sh", "-c", f"printf '#!/bin/sh\\necho systemctl $*\\n' > {program} && chmod +x {program}"])
    return machine.check([sys.executable, "-I", "-S", *deployment.runner_command(machine), "--labels"])


def test_the_timer_is_installed_on_masters(one: Deployment, m1: Machine, w1: Machine) -> None:
    for path in ("etc/systemd/system/kgen-labels.timer", "etc/systemd/system/kgen-labels.service"):
        assert (m1.root / path).exists()
        assert not (w1.root / path).exists()


def test_labels_are_set_until_every_node_has_appeared(m1: Machine) -> None:
    path = m1.root / "etc/kgen/labels.json"
    rendered = json.loads(path.read_text(encoding="utf-8"))
    assert rendered["nodes"] == {"w1": RESERVED}
    path.write_text(json.dumps({**rendered, "nodes": {"w1": RESERVED, NOT_THERE_YET: RESERVED}}), encoding="utf-8")
    labels = ("patch", "node", "w1", "--type=merge", "--patch")
    try:
        output = labelled(m1)
        assert output.splitlines() == [
            "kgen: labelled w1 " + " ".join(RESERVED),
            f"kgen: not registered yet: {NOT_THERE_YET}",
        ]
        found = api(m1, "node", "w1")["metadata"]["labels"]
        assert found.items() >= {**RESERVED, "rack": "r7"}.items()
        changed = json.dumps({"metadata": {"labels": {"node-restriction.kubernetes.io/team": "red"}}})
        deployment.kubectl(m1, *labels, changed)
    finally:
        path.write_text(json.dumps(rendered, sort_keys=True) + "\n", encoding="utf-8")
    assert labelled(m1) == "systemctl disable --now kgen-labels.timer\n"
    assert api(m1, "node", "w1")["metadata"]["labels"]["node-restriction.kubernetes.io/team"] == "red"
    assert not (m1.root / "run/kgen/admin.pem").exists()


def test_a_failure_is_one_line(m1: Machine) -> None:
    path = m1.root / "etc/kgen/labels.json"
    rendered = path.read_text(encoding="utf-8")
    elsewhere = {**json.loads(rendered), "server": "https://10.71.0.11:1"}
    path.write_text(json.dumps(elsewhere), encoding="utf-8")
    try:
        status, output = m1.run([sys.executable, "-I", "-S", *deployment.runner_command(m1), "--labels"])
    finally:
        path.write_text(rendered, encoding="utf-8")
    assert (status, output) == (1, "kgen: labels: [Errno 111] Connection refused\n")
