from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from kgen.delivering.registry import Event, Registry, Target
from kgen.delivering.server import Content, Limits, Service

USER_DATA = b"#cloud-config\n" + b"# a secret of its own\n" * 20_000


@dataclass
class Running:
    """A server that runs in a thread, and clients that speak to it in bytes."""

    port: int
    registry: Registry
    events: list[Event] = field(default_factory=list)

    def token(self, name: str) -> str:
        return self.registry.entries[name].token

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def raw(self, request: bytes) -> bytes:
        with self.connect() as client:
            client.sendall(request)
            return received(client)

    def get(self, path: str, method: str = "GET", version: str = "1.1") -> tuple[int, bytes]:
        """Return status and body of an answer; the path goes out as it is."""
        answer = self.raw(f"{method} {path} HTTP/{version}\r\nHost: kgen\r\nConnection: close\r\n\r\n".encode())
        return parsed(answer)

    def seed(self, name: str, document: str, **more: str) -> tuple[int, bytes]:
        return self.get(f"/{self.token(name)}/{name}/{document}", **more)

    def texts(self) -> list[str]:
        return [event.text for event in self.events]


def received(client: socket.socket) -> bytes:
    """Return everything until the server closes."""
    found = b""
    while part := client.recv(65536):
        found += part
    return found


def parsed(answer: bytes) -> tuple[int, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        whole, rest = b"", body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            whole, rest = whole + rest[:length], rest[length + 2 :]
        body = whole
    return int(head.split()[1]), body


@pytest.fixture
def serving(tmp_path) -> Iterator[Callable[..., Running]]:
    """Start a server for ``targets``; keyword arguments are those of Content, Limits and Registry."""
    stops = []

    def start(
        *targets: Target, limits: Limits | None = None, tls: ssl.SSLContext | None = None, any_address=False, **content
    ) -> Running:
        events: list[Event] = []
        registry = Registry(targets or (Target("m1"), Target("w1")), any_address=any_address, on_event=events.append)
        filled = {
            "cluster": "prod",
            "documents": lambda name: {"meta-data": f"instance-id: prod-{name}\n".encode(), "user-data": USER_DATA},
            "instance_id": lambda name: f"prod-{name}",
        } | content
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        over = threading.Event()

        async def run() -> None:
            await Service(registry, Content(**filled), limits or Limits()).serve(listener, tls, over.is_set)

        thread = threading.Thread(target=asyncio.run, args=(run(),))
        thread.start()
        stops.append((over, thread, listener))
        return Running(listener.getsockname()[1], registry, events)

    yield start
    for over, thread, listener in stops:
        over.set()
        thread.join(20)
        assert not thread.is_alive()
        listener.close()


@contextmanager
def slow_reader(running: Running) -> Iterator[socket.socket]:
    """Yield a client whose kernel takes a few kilobytes only until they are read."""
    client = socket.socket()
    client.settimeout(10)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", running.port))
    with client:
        yield client
