"""The pods' network of ``networking.plugin: bridge``: a bridge on each machine and routes between the machines.

Facts: https://www.cni.dev/plugins/current/main/bridge/, …/ipam/host-local/, …/meta/portmap/. The reasons are in
docs/adr/0004-a-network-of-bridges-and-routes.md. Every machine must have its ``pod_cidr``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from kgen.model import Cluster, Machine
from kgen.payload import NodeFile

CONFLIST = PurePosixPath("/etc/cni/net.d/10-kgen-bridge.conflist")
ROUTES = PurePosixPath("/etc/kgen/routes")
UNIT = PurePosixPath("/etc/systemd/system/kgen-routes.service")
BRIDGE = "cni0"

_IPTABLES = {4: "iptables", 6: "ip6tables"}
_EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
_SECONDS = 30
"""The seconds between two runs of the script: a lost carrier and a restarted systemd-networkd remove routes."""

_UNIT = f"""\
[Unit]
Description=Routes to the pods of the other machines
Wants=network-online.target
After=network-online.target
Before=kubelet.service

[Service]
ExecStart=/bin/sh -c 'while :; do sh {ROUTES}; sleep {_SECONDS}; done'
Restart=always

[Install]
WantedBy=multi-user.target
"""


def files(cluster: Cluster, machine: Machine) -> Iterator[NodeFile]:
    """Yield the files of the bridge network; none with another plugin."""
    if cluster.networking.plugin == "bridge":
        yield NodeFile(CONFLIST, (conflist(machine),), 0o644 if cluster.hardening == "none" else 0o600)
        yield NodeFile(ROUTES, (script(cluster, machine),), 0o644)
        yield NodeFile(UNIT, (_UNIT,), 0o644)


def units(cluster: Cluster) -> list[str]:
    """Return the units that start with the kubelet."""
    return [UNIT.name] if cluster.networking.plugin == "bridge" else []


def conflist(machine: Machine) -> str:
    """Return the CNI configuration: pods on a bridge with addresses of the machine's range, and host ports.

    ``hairpinMode`` lets a pod reach itself through a Service. Masquerading is the routes' script's: the plugin's own
    would hide pods from those of other machines.
    """
    subnet = machine.pod_cidr
    assert subnet is not None  # noqa: S101 the bundle has one for every machine
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": str(subnet)}]],
            "routes": [{"dst": _EVERYWHERE[subnet.version]}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    plugins = ",\n  ".join(json.dumps(plugin) for plugin in (bridge, portmap))
    return f'{{"cniVersion": "1.0.0", "name": "kgen-bridge", "plugins": [\n  {plugins}\n]}}\n'


def routes(cluster: Cluster, machine: Machine) -> list[tuple[str, str]]:
    """Return the pod range and the address of every other machine."""
    others = (other for other in cluster.machines if other.name != machine.name)
    return [(str(other.pod_cidr), str(other.address)) for other in others]


def script(cluster: Cluster, machine: Machine) -> str:
    """Return the shell script that sets rules and routes; it may run at any time and any number of times.

    A packet that leaves the pods' network gets the machine's address; packets on the bridge are not changed. Forwarding
    is allowed even if the image's firewall forbids it. A packet to a Service that kube-proxy has not translated is
    rejected. Otherwise it would leave the machine, and its sender would wait for an answer (CoreDNS: 30 seconds at each
    first boot).

    The script starts as few processes as possible, because each one delays the kubelet's start. One process fills all
    chains, whatever they contain. One sets all routes, and continues after a route that cannot be set.
    """
    subnet = cluster.networking.pod_subnets[0]
    services = next(each for each in cluster.networking.service_subnets if each.version == subnet.version)
    iptables = _IPTABLES[subnet.version]
    rules = f"""\
jump() {{ {iptables} -w -t $1 -C $2 -j KGEN-$2 2>/dev/null || echo "-A $2 -j KGEN-$2"; }}
{iptables}-restore -w -n <<END
*nat
:KGEN-POSTROUTING - [0:0]
-A KGEN-POSTROUTING -s {subnet} ! -d {subnet} ! -o {BRIDGE} -j MASQUERADE --random-fully
$(jump nat POSTROUTING)
COMMIT
*filter
:KGEN-FORWARD - [0:0]
-A KGEN-FORWARD -s {subnet} -d {services} -j REJECT
-A KGEN-FORWARD -s {subnet} -j ACCEPT
-A KGEN-FORWARD -d {subnet} -j ACCEPT
$(jump filter FORWARD)
COMMIT
END
"""
    ways = "".join(f"route replace {network} via {address}\n" for network, address in routes(cluster, machine))
    return f"# Made by kgen, run by {UNIT.name}.\n{rules}" + (f"ip -force -batch - <<END\n{ways}END\n" if ways else "")


def update(cluster: Cluster, machine: Machine, gone: Iterable[str]) -> str:
    """Return shell commands that give a running machine the routes of ``cluster``; they stay over reboots.

    ``gone`` are the ranges of removed machines.
    """
    lines = [
        f"cat > {ROUTES}.new <<'ROUTES'",
        script(cluster, machine) + "ROUTES",
        f"mv {ROUTES}.new {ROUTES}",
        *(f"ip route del {network} 2>/dev/null" for network in gone),
        f"sh {ROUTES}",
    ]
    return "".join(f"{line}\n" for line in lines)
