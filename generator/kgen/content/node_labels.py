"""The labels that kubelets may not set on their own Nodes, and the timer on the masters that sets them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from kgen.facts import names
from kgen.facts.labels import kubelet_may_set
from kgen.model import Cluster, Machine
from kgen.payload import NodeFile

LABELS = PurePosixPath("/etc/kgen/labels.json")
SERVICE = PurePosixPath("/etc/systemd/system/kgen-labels.service")
TIMER = SERVICE.with_suffix(".timer")

_SERVICE = f"""\
[Unit]
Description=Labels that kubelets may not set
# Written when the API server is ready. The first boot is done only when every object of the user's exists.
ConditionPathExists={names.MANIFESTS_DIR / "kube-scheduler.yaml"}

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 {names.RUNNER_PATH} --labels
"""

_TIMER = """\
[Unit]
Description=Labels that kubelets may not set

[Timer]
OnCalendar=minutely
AccuracySec=10s

[Install]
WantedBy=timers.target
"""


def reserved(machine: Machine) -> dict[str, str]:
    """Return the labels of ``machine`` that only an administrator may set."""
    return {key: value for key, value in machine.labels.items() if not kubelet_may_set(key)}


def of_nodes(cluster: Cluster) -> Mapping[str, Mapping[str, str]]:
    """Return the reserved labels of each listed node that has any. Masters set their own at their first boot."""
    return {
        machine.name: labels for machine in cluster.machines if machine.role == "node" and (labels := reserved(machine))
    }


def files(cluster: Cluster, machine: Machine) -> Iterator[NodeFile]:
    """Yield the files of the timer; none if no node has reserved labels."""
    nodes = of_nodes(cluster)
    if nodes:
        text = json.dumps({"server": machine.local_api_endpoint, "nodes": nodes}, sort_keys=True) + "\n"
        yield NodeFile(LABELS, (text,), 0o644)
        yield NodeFile(SERVICE, (_SERVICE,), 0o644)
        yield NodeFile(TIMER, (_TIMER,), 0o644)


def units(cluster: Cluster, machine: Machine) -> list[str]:
    """Return the timer's unit if this machine has it."""
    return [TIMER.name] if machine.role == "master" and of_nodes(cluster) else []
