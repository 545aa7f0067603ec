"""Finds out whether a client has received everything: TCP's acknowledgements, as the kernel counts them.

A program that writes to a socket learns only that the kernel has taken the bytes. The kernel of the other side
acknowledges what it has received (tcp(7), TIOCOUTQ and TCP_INFO).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios
from contextlib import suppress

_PAUSE_SECONDS = 0.01
_TCP_INFO = 11  # linux/tcp.h; Python names it on Linux only
_INFO_BYTES = 128
_BYTES_ACKED = 120  # the place of tcpi_bytes_acked in struct tcp_info


class Acknowledgement:
    """The acknowledgements of one connection. A duplicate of the socket outlives the connection's end."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Watch the connection of ``transport``, from before the first byte is sent."""
        self._transport = transport

    def __enter__(self) -> Acknowledgement:
        """Start counting."""
        self._socket = socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno()))
        self._before = self._acknowledged()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the duplicate back."""
        self._socket.close()

    async def of_everything(self, size: int) -> bool:
        """Return whether all that was written is acknowledged, as soon as it is, or when the connection has ended.

        ``size`` bytes of it are content.
        """
        while not self._transport.is_closing():
            if not self._transport.get_write_buffer_size() and not self._in_flight():
                return True
            await asyncio.sleep(_PAUSE_SECONDS)
        # What asyncio had not written yet is lost, so only the count of the kernel tells.
        return self._acknowledged() - self._before >= size

    def _in_flight(self) -> int:
        """Return the bytes without acknowledgement; 0 where the kernel cannot tell, as on macOS."""
        with suppress(OSError):
            return int(struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0])
        return 0

    def _acknowledged(self) -> int:
        """Return the bytes with acknowledgement; 0 where the kernel cannot tell."""
        with suppress(OSError, struct.error):
            info = self._socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO_BYTES)
            return int(struct.unpack_from("Q", info, _BYTES_ACKED)[0])
        return 0


def reset(transport: asyncio.Transport) -> None:
    """End a connection at once. Without SO_LINGER the kernel would go on sending what it has been given."""
    with suppress(OSError):  # the connection is gone
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
