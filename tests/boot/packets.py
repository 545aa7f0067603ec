"""Whom the machines of a segment talk to, seen on its bridge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType

from tests.boot.machines import Segment

# What begins a conversation: the SYN of TCP, every packet of UDP and ICMP. Multicast and broadcast stay where they are.
_WATCH = """
import socket, struct
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
link.bind(("br0", 0))
# Everything that passes the bridge, not only what is for its own address: SOL_PACKET, PACKET_ADD_MEMBERSHIP, PROMISC.
link.setsockopt(263, 1, struct.pack("iHH8s", socket.if_nametoindex("br0"), 1, 0, b""))
seen = set()
print("watching", flush=True)
while True:
    frame = link.recv(65535)
    if not frame[6:].startswith(b"RT\\0\\0\\0") or frame[12:14] != b"\\x08\\0" or frame[30] >= 224:
        continue
    start = 14 + 4 * (frame[14] & 15)
    protocol = {1: "icmp", 6: "tcp", 17: "udp"}.get(frame[23], str(frame[23]))
    if protocol == "tcp" and frame[start + 13] & 18 != 2:
        continue
    port = int.from_bytes(frame[start + 2 : start + 4], "big") if protocol in ("tcp", "udp") else 0
    found = f"{protocol} {socket.inet_ntoa(frame[30:34])} {port}"
    if found not in seen:
        seen.add(found)
        print(found, flush=True)
"""


class Watcher:
    """Writes down, while it is entered, whom machines began to talk to: protocol, address and port."""

    def __init__(self, segment: Segment, directory: Path) -> None:
        self.segment = segment
        self.log = directory / "packets.log"

    def __enter__(self) -> Watcher:
        with self.log.open("wb") as log:
            command = self.segment.command(sys.executable, "-u", "-c", _WATCH)
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()

    def seen(self) -> set[tuple[str, str, int]]:
        """Return protocol, address and port of each conversation so far; it fails when nobody watched."""
        assert self.process.poll() is None, self.log.read_text()
        first, *lines = self.log.read_text().splitlines()
        assert first == "watching", first
        return {(protocol, address, int(port)) for protocol, address, port in map(str.split, lines)}
