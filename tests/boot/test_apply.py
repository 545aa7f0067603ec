"""`kgen apply` on a whole machine: systemd, the real kubelet and its static pods. Soak: it restarts a control plane."""

from __future__ import annotations

import base64
import textwrap
from pathlib import Path

import pytest

from tests.boot.clusters import Cluster
from tests.boot.machines import Machine, Segment

pytestmark = [pytest.mark.boot, pytest.mark.soak]

CLUSTER = """\
apiVersion: kgen/v1
name: apply
kubernetesVersion: v1.37.2
image: {runner: baked}
networking: {podSubnet: 10.244.0.0/16, plugin: bridge}
controllerManager: {extraArgs: [{name: leader-elect, value: "false"}]}
scheduler: {extraArgs: [{name: leader-elect, value: "false"}]}
machines:
  - {name: m1, role: master, address: 10.88.0.11}
"""
SCRIPT = "/run/apply.sh"
ARGUMENT_BYTES = 60_000  # the guest agent takes a script as one argument, of 128 KiB at most


def put(machine: Machine, text: str) -> None:
    """Write the script on the machine, for root only."""
    machine.shell(f"umask 077; : >{SCRIPT}.b64")
    for part in textwrap.wrap(base64.b64encode(text.encode()).decode(), ARGUMENT_BYTES):
        assert machine.shell(f"printf %s {part} >>{SCRIPT}.b64").returncode == 0
    assert machine.shell(f"umask 077; base64 -d {SCRIPT}.b64 >{SCRIPT}").returncode == 0


def test_renewed_certificates_and_changed_settings_reach_a_running_master(tmp_path: Path) -> None:
    with Segment("apply") as segment:
        cluster = Cluster(segment, tmp_path, CLUSTER)
        machine = cluster.machine("m1", 11)
        machine.power_on()
        cluster.wait(20)
        cluster.until("finished first boot", lambda: machine.shell("test -e /var/lib/kgen/done").returncode == 0)
        cluster.kubectl("create", "configmap", "ours")
        old = machine.shell("cat /etc/kubernetes/pki/apiserver.crt").stdout
        assert cluster.kgen("certs", "renew", "cluster.yaml").returncode == 0
        changed = CLUSTER.replace("scheduler: {extraArgs: [", 'scheduler: {extraArgs: [{name: v, value: "1"}, ')
        cluster.write(changed + "kubelet: {maxPods: 100}\n")
        script = cluster.kgen("apply", "cluster.yaml", "m1")
        assert script.returncode == 0, script.stderr
        put(machine, script.stdout)
        done = machine.shell(f"sh {SCRIPT}", timeout=1200)
        assert done.returncode == 0, done.stdout + done.stderr
        for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"):
            assert f"kgen: restarting {name}\n" in done.stdout
        new = machine.shell("cat /etc/kubernetes/pki/apiserver.crt").stdout
        assert new != old
        assert new == (cluster.outputs / "nodes/m1/etc/kubernetes/pki/apiserver.crt").read_text()
        assert cluster.get("configmap", "ours")["metadata"]["name"] == "ours"
        cluster.until("changed kubelet", lambda: cluster.get("node", "m1")["status"]["capacity"]["pods"] == "100")
        assert "--v=1" in str(cluster.get("pod", "kube-scheduler-m1", "--namespace=kube-system")["spec"])
        cluster.wait(10)
        status = cluster.kgen("status", "cluster.yaml")
        assert "is older than the bundle's" not in status.stdout
        put(machine, cluster.kgen("apply", "cluster.yaml", "m1").stdout or "exit 9")
        assert "nothing to change" in machine.shell(f"sh {SCRIPT}", timeout=300).stdout
