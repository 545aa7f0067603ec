"""The switch between a lab's machines: a daemon that passes Ethernet frames between the QEMUs that are connected to it.

QEMU can connect machines by multicast, too. Those frames are open to every user of this computer, and QEMU's user-mode
network would answer for every address in them. Sockets in the lab's directory are open to the lab's user only, and the
gateway gets what is for it. Each frame on a socket follows its length, as four bytes (QEMU: net/stream.c).

It is run as a file, ``python -I switch.py DIRECTORY``, and imports the standard library only.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys

_LENGTH = struct.Struct(">I")
_LONGEST_FRAME = 1 << 17
_MOST_QUEUED = 1 << 21  # bytes for a machine that does not read; what follows is dropped, as a switch does
_MULTICAST = 1  # the bit in the first byte of an address
_GATEWAY_ADDRESSES = b"\x52\x55"  # the beginning of the addresses in QEMU's user-mode network (libslirp: slirp.h)


class Switch:
    """The ports, and the addresses that were seen behind each."""

    def __init__(self) -> None:
        """Begin without ports."""
        self._machines: set[asyncio.StreamWriter] = set()
        self._gateways: set[asyncio.StreamWriter] = set()
        self._behind: dict[bytes, asyncio.StreamWriter] = {}

    async def machine(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a machine until it is off."""
        await self._serve(reader, writer, self._machines)

    async def gateway(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the gateway until it ends."""
        await self._serve(reader, writer, self._gateways)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ports: set[asyncio.StreamWriter]
    ) -> None:
        ports.add(writer)
        try:
            while True:
                header = await reader.readexactly(_LENGTH.size)
                (length,) = _LENGTH.unpack(header)
                if length > _LONGEST_FRAME:
                    return
                self._pass(header + await reader.readexactly(length), writer)
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            ports.discard(writer)
            self._behind = {address: port for address, port in self._behind.items() if port is not writer}
            writer.close()

    def _pass(self, frame: bytes, source: asyncio.StreamWriter) -> None:
        """Send a frame on, with its length before it."""
        target, sender = frame[4:10], frame[10:16]
        if len(sender) < 6:
            return
        self._behind[sender] = source
        if target[0] & _MULTICAST:
            ports = self._machines | self._gateways
        elif target.startswith(_GATEWAY_ADDRESSES):
            ports = self._gateways
        else:
            known = self._behind.get(target)
            ports = {known} if known else self._machines
        for port in ports:
            if port is not source and port.transport.get_write_buffer_size() < _MOST_QUEUED:
                port.write(frame)


async def serve(started: int) -> None:
    """Listen in the current directory, for machines and for the gateway; then close the file ``started``."""
    switch = Switch()
    servers = []
    for path, serve_port in (("machines.sock", switch.machine), ("gateway.sock", switch.gateway)):
        if os.path.exists(path):  # noqa: PTH110  # pathlib takes a quarter of the time of a start
            os.unlink(path)  # noqa: PTH108
        servers.append(await asyncio.start_unix_server(serve_port, path))
    os.write(started, b"1")
    os.close(started)
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main(directory: str) -> int:
    """Become a daemon that serves in ``directory``; return when it does."""
    os.umask(0o077)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return 0 if os.read(reading, 1) else 1
    os.setsid()
    with open("pid", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(str(os.getpid()))
    os.chdir(os.pardir)
    asyncio.run(serve(writing))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
