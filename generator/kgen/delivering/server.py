"""The HTTP server: bounded connections, fixed paths, one request for each connection. Only this module has aiohttp.

aiohttp parses requests and bounds their lines and headers. This module bounds the number of connections and the time
of each, and answers a closed set of paths: nothing in a request is ever used as the path of a file.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from kgen import resources
from kgen.delivering import boot_files, ipxe
from kgen.delivering.acknowledgement import Acknowledgement, reset
from kgen.delivering.registry import DOCUMENTS, ONCE, Entry, Registry

_PRINTABLE = re.compile(r"[^ -~]")
_MOST_SHOWN = 64
_MOST_OF_A_REPORT = 200
_REPORT_BYTES = 16 * 1024
_LOOP_PAUSE_SECONDS = 0.2
_TYPE = "text/plain"
_HEADERS = {"Cache-Control": "no-store"}
_STATUS = {"unknown": 404, "address": 403, "taken": 410}
_TEXT = {
    "unknown": "not found\n",
    "address": "this document is for another address\n",
    "taken": "this document was taken already\n",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of the server. ``file_bytes_a_second`` is the slowest transfer of a boot file."""

    connections: int = 512
    of_one_address: int = 256
    request_seconds: float = 10.0
    document_seconds: float = 60.0
    file_bytes_a_second: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """What is served. ``documents`` makes the files of a machine's seed; ``boot`` are the boot files by name.

    ``objects`` are the published payloads of machines with stubs. ``url`` is the server as machines reach it; empty:
    the address at which the request arrived. ``append`` is the kernel's command line.
    """

    cluster: str
    documents: Callable[[str], Mapping[str, bytes]]
    instance_id: Callable[[str], str]
    objects: Mapping[str, Path] = field(default_factory=dict)
    boot: Mapping[str, Path] = field(default_factory=dict)
    append: str = ""
    url: str = ""


class _Connections(web.Server):
    """aiohttp's connections, each with a deadline, and with a bound for each client's address."""

    def __init__(self, answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], limits: Limits) -> None:
        quiet = logging.getLogger("kgen.delivering")  # aiohttp logs requests that it cannot read: they may have a token
        quiet.addHandler(logging.NullHandler())
        quiet.propagate = False
        super().__init__(answer, access_log=None, logger=quiet, lingering_time=1.0)
        self._limits = limits
        self._deadlines: dict[RequestHandler, tuple[asyncio.TimerHandle, str]] = {}
        self._of_address: Counter[str] = Counter()
        self.room = asyncio.Semaphore(limits.connections)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        address = _address(transport)
        self._of_address[address] += 1
        timer = asyncio.get_running_loop().call_later(self._limits.request_seconds, reset, transport)
        self._deadlines[handler] = timer, address
        if self._of_address[address] > self._limits.of_one_address:
            reset(transport)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        timer, address = self._deadlines.pop(handler, (None, ""))
        if timer is not None:
            timer.cancel()
            self._of_address -= Counter([address])
            self.room.release()

    def extend(self, request: web.BaseRequest, seconds: float) -> None:
        """Give the connection of ``request`` another deadline, from now on."""
        transport = request.transport
        timer, address = self._deadlines.get(request.protocol, (None, ""))
        if timer is not None and transport is not None:
            timer.cancel()
            later = asyncio.get_running_loop().call_later(seconds, reset, transport)
            self._deadlines[request.protocol] = later, address


class Service:
    """The answers to requests."""

    def __init__(self, registry: Registry, content: Content, limits: Limits = Limits()) -> None:
        """Serve ``content`` to the machines of ``registry``."""
        self._registry = registry
        self._content = content
        self._limits = limits
        self._making = asyncio.Lock()
        self._turns = {name: asyncio.Lock() for name in registry.entries}
        self._connections = _Connections(self._answer, limits)

    async def serve(
        self, listener: socket.socket, tls: ssl.SSLContext | None, is_done: Callable[[], bool] = lambda: False
    ) -> None:
        """Accept connections until ``is_done``, or until cancelled."""
        listener.setblocking(False)
        asyncio.get_running_loop().set_exception_handler(self._failed)
        accepting = asyncio.create_task(self._accept(listener, tls))
        try:
            while not is_done() and not accepting.done():
                await asyncio.wait([accepting], timeout=_LOOP_PAUSE_SECONDS)
            if accepting.done():
                accepting.result()
        finally:
            accepting.cancel()
            await self._connections.shutdown(timeout=1)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Report an error of asyncio's about one connection, without its text."""
        self._registry.stranger(f"a connection ended badly: {type(context.get('exception')).__name__}", "")

    async def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accept as long as there is room. Further clients wait in the kernel's queue."""
        loop = asyncio.get_running_loop()
        connecting: set[asyncio.Task[None]] = set()
        while True:
            await self._connections.room.acquire()
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError:  # no descriptor is left, or the client is gone
                self._connections.room.release()
                await asyncio.sleep(_LOOP_PAUSE_SECONDS)
                continue
            task = asyncio.create_task(self._connect(client, tls))
            connecting.add(task)
            task.add_done_callback(connecting.discard)

    async def _connect(self, client: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Hand the connection to aiohttp, after the TLS handshake if there is one."""
        patience = self._limits.request_seconds if tls else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._connections, client, ssl=tls, ssl_handshake_timeout=patience
            )
        except (TimeoutError, OSError):  # ssl.SSLError is an OSError
            self._connections.room.release()
            client.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            response = await self._route(request)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            self._registry.stranger(f"a request failed inside of kgen: {type(error).__name__}", _peer(request))
            response = web.Response(status=500, text="kgen serve: internal error\n")
        response.force_close()
        return response

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        parts = request.rel_url.raw_path.split("/")[1:]
        match parts:
            case ["boot.ipxe"] if request.method in ("GET", "HEAD"):
                return self._boot_script(request)
            case ["boot", name] if request.method in ("GET", "HEAD"):
                return self._boot_file(request, name)
            case [token, name, document] if document in DOCUMENTS and request.method in ("GET", "HEAD"):
                return await self._document(request, token, name, document)
            case [token, name, "first-boot"] if request.method == "POST":
                return await self._first_boot(request, token, name)
        return _refused("unknown")

    def _boot_file(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        path = self._content.boot.get(name)
        if path is None:
            self._registry.stranger(f"asked for the boot file {_shown(name)}, which is not served", _peer(request))
            return _refused("unknown")
        try:
            size = boot_files.size(path)
        except OSError as error:  # it was there when the server started
            reason = (error.strerror or "it is no plain file").lower()
            self._registry.stranger(f"asked for the boot file {name}, which cannot be read: {reason}", _peer(request))
            return _refused("unknown")
        seconds = self._limits.document_seconds + size / self._limits.file_bytes_a_second
        self._connections.extend(request, seconds)
        return web.FileResponse(path)

    def _boot_script(self, request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=self._script(request), content_type="text/plain")

    def _script(self, request: web.BaseRequest) -> str:
        registry, content, address = self._registry, self._content, _peer(request)
        base, query = self._base(request), request.rel_url.query
        if not query:
            return ipxe.identify(base)
        macs, serial, uuid = query.getall("mac", []), query.get("serial", ""), query.get("uuid", "")
        entry = registry.find(macs=macs, serial=serial, uuid=uuid)
        if entry is None:
            numbers = f"mac {_shown(', '.join(filter(None, macs)))}, serial {_shown(serial)}, uuid {_shown(uuid)}"
            registry.unlisted(
                f"a machine that is not in the cluster file asked for its boot script: {numbers}", address
            )
            return ipxe.unknown(content.cluster)
        name = entry.target.name
        if entry.is_served:
            registry.refuse(entry, "asked for its boot script again, after its user-data was taken", address)
            return ipxe.taken(name)
        if not registry.has_right_address(entry, address):
            wanted = ", ".join(map(str, entry.target.addresses or (entry.pinned,)))
            registry.refuse(entry, f"asked for its boot script from {address}, not from {wanted}", address)
            return ipxe.wrong_address(name, wanted)
        if not content.boot:
            registry.refuse(entry, "asked for its boot script, but there are no boot files", address)
            return ipxe.no_boot_files()
        registry.loader(entry, address)
        seed = ipxe.seed_argument(content.instance_id(name), f"{base}/{entry.token}/{name}/")
        return ipxe.start(content.cluster, name, base, seed, content.append)

    async def _document(self, request: web.BaseRequest, token: str, name: str, document: str) -> web.StreamResponse:
        address = _peer(request)
        entry = self._registry.admit(name, token, document, address)
        if not isinstance(entry, Entry):
            return _refused(entry)
        if document == "object" and name not in self._content.objects:
            return _refused("unknown")
        self._connections.extend(request, 2 * self._limits.document_seconds)
        content = await self._content_of(request, entry, document)
        if request.method == "HEAD":
            return web.Response(headers={"Content-Length": str(len(content)), **_HEADERS}, content_type=_TYPE)
        if document not in ONCE:
            return await self._send(request, entry, document, content)
        async with self._turns[name]:  # a machine that asks again while its first transfer hangs waits for its end
            if entry.is_served:
                return _refused("taken")
            self._connections.extend(request, self._limits.document_seconds)
            return await self._send(request, entry, document, content)

    async def _content_of(self, request: web.BaseRequest, entry: Entry, document: str) -> bytes:
        name = entry.target.name
        if document == "vendor-data":
            return _vendor_data(f"{self._base(request)}/{entry.token}/{name}")
        if document == "object":
            return self._content.objects[name].read_bytes()
        async with self._making:
            files = await asyncio.to_thread(self._content.documents, name)
        return files.get(document, b"")  # empty, not 404: cloud-init would repeat the request for ten seconds

    async def _send(self, request: web.BaseRequest, entry: Entry, document: str, content: bytes) -> web.StreamResponse:
        """Send a document, and find out whether the machine has received all of it.

        In chunks: the HTTP client of cloud-init 22.4 takes a response that ends early for a whole one otherwise.
        """
        transport, address = request.transport, _peer(request)
        if transport is None:
            raise ConnectionResetError
        response = web.StreamResponse(headers=_HEADERS)
        response.content_type = _TYPE
        response.force_close()
        if request.version >= (1, 1):
            response.enable_chunked_encoding()
        else:
            response.content_length = len(content)
        with Acknowledgement(transport) as acknowledgement:
            is_complete = False
            try:
                await response.prepare(request)
                await response.write(content)
                await response.write_eof()
                is_complete = await acknowledgement.of_everything(len(content))
            finally:
                if is_complete:
                    self._registry.took(entry, document, len(content), address)
                else:
                    reset(transport)
                    self._registry.broke_off(entry, document, address)
        return response

    async def _first_boot(self, request: web.BaseRequest, token: str, name: str) -> web.StreamResponse:
        entry = self._registry.admit(name, token, "first-boot", _peer(request))
        if not isinstance(entry, Entry):
            return _refused(entry)
        size = min(request.content_length or 0, _REPORT_BYTES)
        try:
            phase, text = _story(await request.content.readexactly(size))
        except (asyncio.IncompleteReadError, ValueError, TypeError, KeyError, RecursionError):
            return web.Response(status=400, text="this is no status.json of a first boot\n")
        self._registry.reported(entry, text, _peer(request), is_done=phase == "done")
        return web.Response(text="thank you\n")

    def _base(self, request: web.BaseRequest) -> str:
        """Return the URL of the server, without a slash at its end."""
        if self._content.url:
            return self._content.url
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        host, port = transport.get_extra_info("sockname")[:2]
        host = host.partition("%")[0].removeprefix("::ffff:")
        scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _vendor_data(url: str) -> bytes:
    """Return vendor-data that sends the phases of the first boot: a script, which user-data does not replace."""
    report = resources.runner_source("report")
    return f"#!/usr/bin/env python3\n{report}\n\nstart({f'{url}/first-boot'!r})\n".encode()


def _story(content: bytes) -> tuple[str, str]:
    """Return the phase in a status.json of the first boot, and what it says as a line.

    Raises:
        ValueError, TypeError, KeyError, RecursionError: it is none.
    """
    story = json.loads(content)
    phase, step, error = (str(story[key]) for key in ("phase", "step", "error"))
    text = f"{phase}, step {step}" if step else phase
    return phase, _PRINTABLE.sub("?", f"{text}: {error}" if error else text)[:_MOST_OF_A_REPORT]


def _refused(why: Literal["unknown", "address", "taken"]) -> web.Response:
    return web.Response(status=_STATUS[why], text=_TEXT[why])


def _address(transport: asyncio.Transport) -> str:
    name: Any = transport.get_extra_info("peername")
    return str(name[0]) if name else ""


def _peer(request: web.BaseRequest) -> str:
    """Return the client's address."""
    text = request.remote or ""
    return text.removeprefix("::ffff:")


def _shown(text: str) -> str:
    """Return what a stranger sent, as it can be printed on a terminal."""
    return _PRINTABLE.sub("?", text[:_MOST_SHOWN]) or "-"
