"""A network card's firmware that looks for a server: prints the answers to a DHCPDISCOVER as JSON lines.

Runs in a network namespace that has the interfaces ``server`` (dnsmasq's) and ``client``, the ends of a cable.
Usage: firmware.py MAC ARCHITECTURE VENDOR_CLASS [ipxe]
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

_MAGIC = b"\x63\x82\x53\x63"
_SECONDS = 4
_IP_AND_UDP = 28
_OWN, _SERVER = 0x0A00000B, 0x0A000002


def option(code: int, value: bytes) -> bytes:
    return bytes((code, len(value))) + value


def question(mac: str, architecture: int, vendor_class: str, *, is_ipxe: bool, kind: int, address: int) -> bytes:
    """Return a question of RFC 2131, of kind 1 (DHCPDISCOVER) or 3 (DHCPREQUEST), with the options of RFC 4578."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    flags = 0 if address else 0x8000
    head = struct.pack("!BBBBIHHIIII16s64s128s", 1, 1, 6, 0, 7, 0, flags, address, 0, 0, 0, hardware, b"", b"")
    head += _MAGIC
    options = (
        option(53, bytes((kind,))) + option(55, bytes((1, 3, 43, 54, 60, 66, 67))) + option(60, vendor_class.encode())
    )
    options += option(93, struct.pack("!H", architecture)) + option(94, b"\1\3\1") + option(97, bytes(17))
    if is_ipxe:
        options += option(77, b"iPXE") + option(175, b"\xb1\1\1")
    return head + options + b"\xff"


def packet_with(message: bytes, source: int, target: int, port: int) -> bytes:
    """Return an IP packet with ``message``. UDP's checksum may be 0."""
    size = _IP_AND_UDP + len(message)
    head = struct.pack("!BBHHHBBHII", 0x45, 0, size, 0, 0, 64, socket.IPPROTO_UDP, 0, source, target)
    total = sum(struct.unpack("!10H", head))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:]
    return head + struct.pack("!HHHH", 68, port, size - 20, 0) + message


def parsed(answer: bytes) -> dict[str, str]:
    """Return what an answer says of the boot."""
    options, rest = {}, answer[240:]
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    file = options.get(67) or answer[108:236]
    return {
        "address": socket.inet_ntoa(answer[16:20]),
        "next": socket.inet_ntoa(answer[20:24]),
        "file": file.rstrip(b"\0").decode(),
        "class": options.get(60, b"").decode(),
        "menu": options.get(43, b"").hex(),
    }


def ask(wire: socket.socket, packet: bytes) -> dict[str, str]:
    """Return the first answer; empty if there is none in time."""
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        wire.sendto(packet, ("client", 0x0800, 0, 0, b"\xff" * 6))
        try:
            answer = wire.recv(4096)
        except TimeoutError:
            continue
        if answer[9] == socket.IPPROTO_UDP and answer[22:24] == b"\0\x44" and answer[_IP_AND_UDP] == 2:
            return parsed(answer[_IP_AND_UDP:])
    return {}


def main() -> None:
    mac, architecture, vendor_class, *more = sys.argv[1:]
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    wire.bind(("client", 0))
    wire.settimeout(0.2)
    about = {"mac": mac, "architecture": int(architecture), "vendor_class": vendor_class, "is_ipxe": bool(more)}
    found = ask(wire, packet_with(question(**about, kind=1, address=0), 0, 0xFFFFFFFF, 67))
    if found and found["address"] == "0.0.0.0" and not found["file"]:  # a proxy: ask it again at PXE's own port
        request = question(**about, kind=3, address=_OWN)
        found |= ask(wire, packet_with(request, _OWN, _SERVER, 4011))
    if found:
        sys.stdout.write(json.dumps(found) + "\n")


main()
