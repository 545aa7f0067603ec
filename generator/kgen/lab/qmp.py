"""Questions to a running QEMU (QEMU Machine Protocol: https://www.qemu.org/docs/master/interop/qmp-spec.html)."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from kgen.errors import KgenError

_SOCKET = "qmp.sock"
_SECONDS = 10.0


def ask(directory: Path, command: str) -> dict[str, Any]:
    """Return the answer of the QEMU in ``directory`` to a command without arguments.

    Raises:
        KgenError: no answer.
    """
    try:
        with _connected(directory) as link, link.makefile("rwb") as lines:
            _next(lines)  # the greeting
            for each in ("qmp_capabilities", command):
                lines.write(json.dumps({"execute": each}).encode() + b"\n")
                lines.flush()
                answer = _next(lines)
    except (OSError, ValueError) as error:
        raise KgenError(
            f"QEMU does not answer for {directory.name}: {error}", f"kgen lab kill {directory.name}"
        ) from error
    found = answer.get("return")
    return found if isinstance(found, dict) else {}


def status(directory: Path) -> str:
    """Return the status of the machine, such as ``running`` or ``internal-error``; "" if QEMU does not answer."""
    try:
        return str(ask(directory, "query-status").get("status", ""))
    except KgenError:
        return ""


def _connected(directory: Path) -> socket.socket:
    """Return a connection. A socket's path has at most 107 bytes, so the way leads through an open directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        link = socket.socket(socket.AF_UNIX)
        try:
            link.settimeout(_SECONDS)
            link.connect(f"/proc/self/fd/{descriptor}/{_SOCKET}")
        except BaseException:
            link.close()
            raise
        return link
    finally:
        os.close(descriptor)


def _next(lines: Any) -> dict[str, Any]:
    """Return the next line that is no event."""
    while line := lines.readline():
        found = json.loads(line)
        if isinstance(found, dict) and "event" not in found:
            return found
    raise OSError("the connection ended")
