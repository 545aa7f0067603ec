"""Power-on to Ready, kgen and stock kubeadm in turn on the same image: `make bench-boot`.

Each run is one master and one node, first masters, then the node once the master is through. Marks are seconds since
QEMU's start, and seen from outside the machines: on the console, or by a watch that opens once everything is published
and stays open (questions again and again would cost the machine that is asked). The master is Ready before that: its
mark is the time, to the second, that its condition bears. A run starts when its process does: kgen's says its first
word later, once Python has loaded, and by how much is asked of the machine afterwards. Needs root and an otherwise idle
machine. The first lines say whether KVM or software emulation ran it.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from tests.boot.clusters import Cluster
from tests.boot.host import host, report
from tests.boot.machines import Machine, Segment

from .report import Row, table

CLUSTER = """\
apiVersion: kgen/v1
name: bench
kubernetesVersion: v1.37.2
image: {{runner: {runner}}}
encryptionAlgorithm: {algorithm}
controlPlaneEndpoint: 10.88.0.11:6443
networking: {{podSubnet: 10.244.0.0/16, plugin: bridge}}
controllerManager: {{extraArgs: [{{name: leader-elect, value: "false"}}]}}
scheduler: {{extraArgs: [{{name: leader-elect, value: "false"}}]}}
machines:
  - {{name: m1, role: master, address: 10.88.0.11}}
  - {{name: w1, role: node, address: 10.88.0.21}}
"""
KUBEADM_CONFIG = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: 10.88.0.11}}
bootstrapTokens: [{{token: {token}}}]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
controlPlaneEndpoint: 10.88.0.11:6443
encryptionAlgorithm: {algorithm}
networking: {{podSubnet: 10.244.0.0/16}}
controllerManager:
  extraArgs: [{{name: leader-elect, value: "false"}}, {{name: allocate-node-cidrs, value: "false"}}]
scheduler: {{extraArgs: [{{name: leader-elect, value: "false"}}]}}
"""
TOKEN = "abcdef.0123456789abcdef"  # test-only: lives as long as one emulated machine
CONSOLE = ">/dev/console 2>&1"
NODES = "/api/v1/nodes?watch=true&fieldSelector=metadata.name%3D"
COREDNS = "/apis/apps/v1/namespaces/kube-system/deployments?watch=true&fieldSelector=metadata.name%3Dcoredns"
LIMIT = 1800
DEFAULT_ALGORITHM = "ECDSA-P256"
MARKS = (
    "start",
    "apiserver ready",
    "published",
    "master Ready",
    "CoreDNS rolled out",
    "node start",
    "node Ready",
)
# (what, marks that must all have come, earlier mark or "" for power-on, budget as a ratio of kubeadm's; design of kgen)
RATIOS = (
    ("runner start to everything published", ("published", "apiserver ready"), "start", 0.7),
    ("power-on to master Ready", ("master Ready",), "", 0.8),
    ("power-on to CoreDNS rolled out", ("CoreDNS rolled out",), "", 0.9),
    ("node: runner start to Ready", ("node Ready",), "node start", 0.6),
)


@dataclass
class Contestant:
    """Who sets the machines up, and how its steps look on their consoles."""

    name: str
    start: str
    apiserver: str
    published: str
    node_start: str
    unit: str = ""
    """Whose process began before its first word, which it says once Python has loaded; of the others that is said."""
    marks: list[dict[str, float]] = field(default_factory=list)
    costs: list[dict[str, float]] = field(default_factory=list)


def main() -> int:
    """Run the contestants in turn, print marks, medians and ratios; 1 when a budget is broken."""
    parser = argparse.ArgumentParser(prog="python -m bench.boot", description=__doc__)
    parser.add_argument("-n", "--runs", type=int, default=3, help="runs of each contestant (default %(default)s)")
    parser.add_argument("--algorithm", default=DEFAULT_ALGORITHM, help="both contestants' keys (default %(default)s)")
    parser.add_argument(
        "--runner", default="baked", help="kgen's: baked, or embedded in documents (default %(default)s)"
    )
    options = parser.parse_args()
    if host().factor > 1:
        report(
            "kgen's cluster gets longer timeouts and rarer probes than kubeadm's here: its marks may come seconds later"
        )
    kgen = kgen_itself()
    kubeadm = Contestant(
        "kubeadm", "bench: init begins", "kube-apiserver is healthy", "bench: init done", "bench: join begins"
    )
    for number in range(options.runs):
        for contestant in (kgen, kubeadm):
            print(f"bench: run {number + 1}, {contestant.name} …", file=sys.stderr, flush=True)
            while not _run(contestant, options.algorithm, options.runner):
                print("bench: an emulated kernel panicked; once more …", file=sys.stderr, flush=True)
            print(json.dumps(contestant.marks[-1]), *contestant.costs[-1:], file=sys.stderr, flush=True)
    rows = _rows(kgen, kubeadm)
    print(table(rows))
    return int(any(row.within is False for row in rows))


def kgen_itself() -> Contestant:
    """Return kgen, with what its steps show on the console."""
    return Contestant("kgen", "kgen: fetch", "kgen: controllers", "kgen: publish", "kgen: fetch", "kgen-firstboot")


def _run(contestant: Contestant, algorithm: str, runner: str) -> bool:
    """Boot one master and one node and note the seconds of every mark; the node's count from its own power-on.

    Returns whether it counts: not after a panic of an emulated kernel.
    """
    with tempfile.TemporaryDirectory() as scratch, Segment("bench") as segment:
        cluster = Cluster(segment, Path(scratch), CLUSTER.format(algorithm=algorithm, runner=runner))
        master, node = cluster.machine("m1", 11), cluster.machine("w1", 21, cpus=1, memory=2048)
        if contestant.name == "kubeadm":
            _seed_kubeadm(cluster, master, node, algorithm)
        marks = boot(contestant, cluster, master, node)
        if master.panics or node.panics:
            return False
        contestant.marks.append({name: round(marks[name], 1) for name in MARKS})
        if contestant.name == "kgen":
            _shown(node, "kgen: done")
            costs = {role: _cost(machine) for role, machine in (("master", master), ("node", node))}
            contestant.costs.append({f"{role}: {what}": value for role in costs for what, value in costs[role].items()})
        return True


def boot(contestant: Contestant, cluster: Cluster, master: Machine, node: Machine) -> dict[str, float]:
    """Power both on, the node once the master is through, and return the seconds of every mark."""
    master.power_on()
    marks = {"start": _shown(master, contestant.start)}
    for mark, text in (("published", contestant.published), ("apiserver ready", contestant.apiserver)):
        marks[mark] = _shown(master, text)
    if contestant.name == "kubeadm":
        text = master.shell("cat /etc/kubernetes/admin.conf").stdout
        (cluster.outputs / "admin.conf").write_text(text, encoding="utf-8")
    watch = Watch(cluster, f"{NODES}m1", _is_ready)
    watch.seconds(master)
    marks["CoreDNS rolled out"] = Watch(cluster, COREDNS, _is_rolled_out).seconds(master)
    marks["master Ready"] = _became_ready(watch.seen) - (time.time() - time.monotonic() + master.powered_on)
    watch = Watch(cluster, f"{NODES}w1", _is_ready)
    node.power_on()
    marks["node start"] = _shown(node, contestant.node_start)
    marks["node Ready"] = watch.seconds(node)
    if contestant.unit:
        marks["start"] -= _silence(master, contestant.unit, contestant.start)
        marks["node start"] -= _silence(node, contestant.unit, contestant.node_start)
    return marks


def _silence(machine: Machine, unit: str, first_word: str) -> float:
    """Return the seconds between the start of the unit and its first word, by the machine's own clock and journal.

    systemd itself forgets a unit that was started by hand, when it is through.
    """
    lines = machine.shell(f"journalctl --boot --output=json --unit={unit}").stdout.splitlines()
    entries = [(each["MESSAGE"], int(each["__MONOTONIC_TIMESTAMP"])) for each in map(json.loads, lines)]
    began, said = (
        next(when for text, when in entries if beginning in text) for beginning in (f"Starting {unit}", first_word)
    )
    return (said - began) / 1e6


class Watch:
    """One object of the cluster, followed through one kubectl until it is as it shall be, as ``seen`` then is."""

    def __init__(self, cluster: Cluster, path: str, is_there: Callable[[Any], bool]) -> None:
        """Begin to follow what the list at ``path`` selects; ``is_there`` looks at the object."""
        self._command = cluster.kubectl_command("get", "--raw", path)
        self._is_there = is_there
        self._when = 0.0
        self.seen: Any = None
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        while not self._when:
            with subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
                for line in process.stdout or ():
                    event = json.loads(line)  # an error's object is a Status, and the watch's end
                    if event["type"] != "ERROR" and self._is_there(event["object"]):
                        self.seen, self._when = event["object"], time.monotonic()  # the time last: it is waited for
                        process.kill()
                        return
            time.sleep(0.5)  # the API server is not there yet, or has ended the watch

    def seconds(self, machine: Machine) -> float:
        """Wait until the object is as it shall be and return the seconds since ``machine`` was powered on."""
        machine.wait_for("what is watched", lambda: self._when, LIMIT)
        return self._when - machine.powered_on


def _cost(machine: Machine) -> dict[str, float]:
    """Return what systemd counted for the runner's unit and said at its end: its processor time, its peak memory."""
    found: list[tuple[str, ...]] = []

    def is_told() -> bool:
        said = machine.shell("journalctl --output=cat --unit=kgen-firstboot").stdout
        found.extend(re.findall(r"Consumed (?:(\d+)min )?([\d.]+)(m?)s CPU time.* ([\d.]+)M memory peak", said))
        return bool(found)

    machine.wait_for("systemd's account of the unit", is_told, 60, pause=2)
    minutes, seconds, milli, memory = found[0]
    return {"CPU": 60 * int(minutes or 0) + float(seconds) / (1000 if milli else 1), "memory": float(memory)}


def _shown(machine: Machine, text: str) -> float:
    return machine.wait_for(f"{text!r} on the console", lambda: text in machine.console(), LIMIT)


def _ready(node: Any) -> dict[str, str]:
    """Return the condition, once it is true."""
    conditions = node["status"].get("conditions", ())
    return next((each for each in conditions if each["type"] == "Ready" and each["status"] == "True"), {})


def _is_ready(node: Any) -> bool:
    return bool(_ready(node))


def _became_ready(node: Any) -> float:
    """Return when a Node became Ready, in seconds since the epoch; machines take their clocks from this host."""
    return datetime.fromisoformat(_ready(node)["lastTransitionTime"]).timestamp()


def _is_rolled_out(deployment: Any) -> bool:
    return bool(deployment["status"].get("readyReplicas") == 2)


def _seed_kubeadm(cluster: Cluster, master: Machine, node: Machine, algorithm: str) -> None:
    """Give both machines cloud-configs that know nothing of kgen but the CNI plugins' configuration with its ranges."""
    config = KUBEADM_CONFIG.format(token=TOKEN, algorithm=algorithm)
    init = f"kubeadm init --config /root/kubeadm.yaml {CONSOLE}"
    join = f"kubeadm join 10.88.0.11:6443 --token {TOKEN} --discovery-token-unsafe-skip-ca-verification {CONSOLE}"
    for machine, what, command in ((master, "init", init), (node, "join", join)):
        review = cluster.outputs / "nodes" / machine.directory.name
        plan = [path for path in review.rglob("*") if path.is_file() and "cni" in path.parts]
        files = [{"path": f"/{path.relative_to(review)}", "content": path.read_text(encoding="utf-8")} for path in plan]
        document = {
            "hostname": machine.directory.name,
            "write_files": [*files, {"path": "/root/kubeadm.yaml", "content": config, "permissions": "0600"}],
            "runcmd": [
                f"echo bench: {what} begins >/dev/console",
                "systemctl enable kubelet",
                command,
                f"echo bench: {what} done >/dev/console",
            ],
        }
        machine.seed(b"#cloud-config\n" + yaml.safe_dump(document).encode(), f"i-{what}")


def _rows(kgen: Contestant, kubeadm: Contestant) -> list[Row]:
    rows = []
    for contestant in (kgen, kubeadm):
        for mark in MARKS:
            seen = [marks[mark] for marks in contestant.marks]
            note = f"{min(seen):.0f}-{max(seen):.0f}"
            rows.append(
                Row(f"{contestant.name}, seconds since power-on", mark, statistics.median(seen), "s", None, note)
            )
    for name in kgen.costs[0]:
        unit, budget = ("MiB", 30.0) if name.endswith("memory") else ("s", None)
        seen = [costs[name] for costs in kgen.costs]
        rows.append(
            Row(
                f"runner, {host().accelerator}",
                name,
                statistics.median(seen),
                unit,
                budget,
                f"{min(seen):g}-{max(seen):g}",
            )
        )
    for what, later, earlier, budget in RATIOS:
        ours, theirs = (
            statistics.median(max(marks[mark] for mark in later) - marks.get(earlier, 0) for marks in contestant.marks)
            for contestant in (kgen, kubeadm)
        )
        rows.append(Row("kgen / kubeadm", what, ours / theirs, "", budget, f"{ours:.0f} s / {theirs:.0f} s"))
    return rows


if __name__ == "__main__":
    sys.exit(main())
