"""The container runtime, asked by its own API without a process."""

import re
import socket
from typing import Any

from .base import Run


def cri_socket(texts: str) -> Any:
    """Return the path of the socket that the kubelet will use, from its configuration or its arguments."""
    return re.findall(r"untime-?[eE]ndpoint\W+unix://([\w./-]+)", texts)[0]


def cri(run: Run, texts: str, method: bytes, message: bytes = b"") -> bytes:
    """Return what the runtime sends when a method of CRI v1 is called with ``message``: protocol buffers in frames.

    gRPC is HTTP/2 (RFC 9113); one request on a connection of its own needs a preface, empty SETTINGS, HEADERS with
    the numbers of HPACK's table (RFC 7541, appendix A) and DATA. Method and message have at most 120 bytes.
    """
    size, length = len(method), len(message)
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(9)
        link.connect(run.root + cri_socket(texts))
        link.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
            b"\0\0%c\1\4\0\0\0\1\x83\x86\4%c/runtime.v1.%b\x0f\x10\x10application/grpc"
            b"\0\0%c\0\1\0\0\0\1\0\0\0\0%c%b" % (size + 35, size + 12, method, length + 5, length, message)
        )
        answer = data = link.recv(9999)
        # HEADERS with END_STREAM come last.
        while data and b"\1\5\0\0\0\1" not in answer:
            data = link.recv(9999)
            answer += data
    return answer


def runtime(run: Run, texts: str) -> Any:
    """The kubelet can do nothing without its runtime, which knows the driver of control groups best."""
    try:
        # Verbosely, for the configuration.
        status = cri(run, texts, b"RuntimeService/Status", b"\x08\1")
        driver = cri(run, texts, b"RuntimeService/RuntimeConfig")
    except OSError as error:
        yield "CRI", f"{cri_socket(texts)}: {error}: see systemctl status containerd"
        return
    if b"RuntimeReady\x10\1" not in status:
        yield "CRI", f"{cri_socket(texts)} is not ready: see disabled_plugins in /etc/containerd/config.toml"
    # No DATA: the method is not there.
    if b"\0\0\0\0\0\1" not in driver:
        if run.body["runtimeConfig"]:
            yield "ContainerRuntimeVersion", "containerd 2 is needed from v1.38 on", True
        if b'SystemdCgroup":false' in status and "cgroupDriver: systemd" in texts:
            yield "CRI", "SystemdCgroup is off in /etc/containerd/config.toml", True
