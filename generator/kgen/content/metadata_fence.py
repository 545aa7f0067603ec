"""``metadataFence``: rules of nftables that keep pods from the metadata services of clouds, and their unit.

Facts: https://wiki.nftables.org/wiki-nftables/index.php/Netfilter_hooks and nft(8), "SOCKET EXPRESSION".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from kgen.facts import metadata_services
from kgen.model import Cluster
from kgen.payload import NodeFile

RULES = PurePosixPath("/etc/kgen/metadata-fence.nft")
UNIT = PurePosixPath("/etc/systemd/system/kgen-metadata-fence.service")
DROP_IN = PurePosixPath("/etc/systemd/system/kubelet.service.d/kgen-metadata-fence.conf")
PODS_DROP_IN = PurePosixPath("/etc/systemd/system/kubepods.slice.d/kgen-metadata-fence.conf")
PACKAGE = "nftables"
"""The package of Debian, Ubuntu, Fedora and their relatives that has ``nft``."""

_TABLE = "kgen-metadata-fence"
_PODS = "kubepods.slice"
"""The control group of all pods: the kubelet's driver is systemd, and its ``cgroupRoot`` is empty."""
_SECONDS = 30
"""The seconds between two runs of nft: ``systemctl restart nftables`` removes every table."""

_DROP_IN = f"""\
# No pod starts before the fence is there.
[Unit]
Requires={UNIT.name}
After={UNIT.name}
"""
_PODS_DROP_IN = """\
# The properties that the kubelet gives this slice where it makes it. Pods do not end early when the machine shuts down.
[Unit]
DefaultDependencies=no

[Slice]
CPUAccounting=yes
MemoryAccounting=yes
IOAccounting=yes
TasksAccounting=yes
"""


def files(cluster: Cluster) -> Iterator[NodeFile]:
    """Yield the files of the fence, which masters and nodes share; none without ``metadataFence``."""
    if cluster.metadata_fence:
        yield NodeFile(RULES, (rules(host_network=cluster.metadata_fence_host_network),), 0o644)
        yield NodeFile(UNIT, (unit(host_network=cluster.metadata_fence_host_network),), 0o644)
        yield NodeFile(DROP_IN, (_DROP_IN,), 0o644)
        if cluster.metadata_fence_host_network:
            yield NodeFile(PODS_DROP_IN, (_PODS_DROP_IN,), 0o644)


def rules(*, host_network: bool) -> str:
    """Return the file for ``nft -f``, which replaces the table in one transaction.

    The hook ``forward`` comes after the translation of a Service's address. ``input`` is for clouds whose agent on the
    machine has the address itself. A program on the machine uses neither, except over the loopback interface.
    """
    addresses = {version: ", ".join(map(str, metadata_services.addresses(version))) for version in (4, 6)}
    output = (
        f"""\
    chain output {{
        type filter hook output priority filter
        socket cgroupv2 level 1 "{_PODS}" jump services
    }}
"""
        if host_network
        else ""
    )
    return f"""\
# Made by kgen, set by {UNIT.name}: pods do not reach the metadata services of clouds.
table inet {_TABLE}
delete table inet {_TABLE}
table inet {_TABLE} {{
    chain services {{
        ip daddr {{ {addresses[4]} }} goto refuse
        ip6 daddr {{ {addresses[6]} }} goto refuse
    }}
    chain refuse {{
        # Answers to the health checks of load balancers, and DNS, which some clouds have at the same address.
        ct direction reply accept
        meta l4proto {{ tcp, udp }} th dport 53 accept
        reject with icmpx admin-prohibited
    }}
    chain forward {{
        type filter hook forward priority filter
        jump services
    }}
    chain input {{
        type filter hook input priority filter
        iifname != "lo" jump services
    }}
{output}}}
"""


def unit(*, host_network: bool) -> str:
    """Return the unit. It fails if nft does, and the kubelet then does not start.

    With ``host_network`` it needs the control group of the pods, which nft looks up when it reads the rules. systemd
    makes it; the kubelet, which starts later, uses the one that is there.
    """
    pods = f"Requires={_PODS}\nAfter={_PODS}\n" if host_network else ""
    return f"""\
[Unit]
Description=Keep pods from the metadata services of clouds
# It may begin by removing every table.
After=nftables.service
{pods}
[Service]
ExecStartPre=nft -f {RULES}
ExecStart=/bin/sh -c 'while sleep {_SECONDS}; do nft -f {RULES} || exit 1; done'
Restart=always
RestartSec=5
"""
