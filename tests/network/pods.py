"""Machines with real CNI plugins: what a container runtime does with a CNI configuration, and pods to try it with.

A machine is one of tests.control_plane.machines with an unpacked Debian as its root directory; a pod is a network
namespace of it. The plugins are called as libcni calls them (https://www.cni.dev/docs/spec/, version 1.0.0).
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.components import cache, debian
from tests.control_plane.machines import Machine

PACKAGES = ("containernetworking-plugins", "iptables", "nftables", "iproute2", "iputils-ping", "dash", "coreutils")
PLUGINS = "/usr/lib/cni"  # Debian's place
_SERVER = (
    "import socket as s; l = s.create_server(('', {port}), family=s.{family}); "
    "c, a = l.accept(); c.sendall(a[0].encode()); c.close()"
)
_CLIENT = "import socket as s, sys; c = s.create_connection(('{host}', {port}), 5); print(c.recv(99).decode())"


def install(suite: str, root: Path) -> None:
    """Make ``root`` a Debian of ``suite`` with CNI plugins and iptables."""
    tree = debian.root("cni", suite, PACKAGES)
    cache.run(["cp", "--archive", tree, root])
    for name in ("iptables", "ip6tables", "iptables-restore", "ip6tables-restore"):
        (root / "usr/sbin" / name).symlink_to("xtables-nft-multi")  # what update-alternatives chooses


class Pod:
    """A network namespace with an interface that the machine's CNI configuration made."""

    def __init__(self, machine: Machine, name: str, ports: Mapping[int, int] | None = None) -> None:
        """Make it; ``ports`` maps ports of the machine to ports of the pod."""
        self.machine = machine
        self._name = name
        self._ports = [{"hostPort": at, "containerPort": to, "protocol": "tcp"} for at, to in (ports or {}).items()]
        machine.check(["ip", "netns", "add", name], chroot=True)
        self.inside = ["nsenter", f"--net={machine.root}/run/netns/{name}", "--"]
        machine.check([*self.inside, "ip", "link", "set", "lo", "up"])
        self.result = self._call("ADD")
        self.address = self.result["ips"][0]["address"].partition("/")[0]

    def delete(self) -> None:
        """Take its network away, as when a pod ends."""
        self._call("DEL")

    def serve(self, port: int) -> None:
        """Tell the next client its address."""
        serve(self.machine, port, *self.inside, is_ipv6=":" in self.address)

    def ask(self, host: str, port: int) -> str:
        """Return the address that the server at ``host`` sees."""
        return ask(self.machine, host, port, *self.inside)

    def _call(self, command: str) -> Any:
        (path,) = (self.machine.root / "etc/cni/net.d").glob("*.conflist")
        configuration = json.loads(path.read_text())
        result = None if command == "ADD" else self.result
        plugins = configuration["plugins"]
        for plugin in reversed(plugins) if command == "DEL" else plugins:
            network = {"cniVersion": configuration["cniVersion"], "name": configuration["name"], **plugin}
            if plugin.get("capabilities", {}).get("portMappings"):
                network["runtimeConfig"] = {"portMappings": self._ports}
            if result is not None:
                network["prevResult"] = result
            said = self._plugin(plugin["type"], command, network)
            if command == "ADD":
                result = json.loads(said)
        return result

    def _plugin(self, name: str, command: str, network: Mapping[str, Any]) -> str:
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self._name,
            "CNI_NETNS": f"/run/netns/{self._name}",
            "CNI_IFNAME": "eth0",
            "CNI_PATH": PLUGINS,
        }
        line = f"printf %s {shlex.quote(json.dumps(network))} | {PLUGINS}/{name}"
        return self.machine.check(["sh", "-c", line], chroot=True, env=environment)


def serve(machine: Machine, port: int, *inside: str, is_ipv6: bool = False) -> None:
    """Tell the next client at the port its address; return when the port is open."""
    family = "AF_INET6" if is_ipv6 else "AF_INET"
    machine.start([*inside, sys.executable, "-c", _SERVER.format(port=port, family=family)])
    line = f"until ss --listening --tcp --numeric --no-header sport = :{port} | grep -q .; do sleep 0.05; done"
    machine.check([*inside, "sh", "-c", line], seconds=10)


def ask(machine: Machine, host: str, port: int, *inside: str) -> str:
    """Return the address that the server at ``host`` sees."""
    return machine.check([*inside, sys.executable, "-c", _CLIENT.format(host=host, port=port)]).strip()
