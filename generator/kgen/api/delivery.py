"""Documents over HTTP: the server of ``kgen serve``. aiohttp is imported where it is used, because it is slow."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kgen.api import image, published, publishing, rendering, running, seeds
from kgen.api.bundle import current_bundle
from kgen.config.load import load
from kgen.delivering import boot_files, dnsmasq, ipxe
from kgen.delivering.registry import Event, Registry, Target
from kgen.emitters.contract import DocumentInfo
from kgen.emitters.seed import instance_id
from kgen.emitters.stub import OBJECTS
from kgen.errors import InputError, KgenError, Problem, command
from kgen.model import Cluster, Machine
from kgen.output import lock
from kgen.output.disk import disk_errors, locked, replace_file
from kgen.pipeline import Pipeline
from kgen.secrets_bundle import store
from kgen.user_data import stub

if TYPE_CHECKING:
    from kgen.running.wait import Snapshot
    from kgen.secrets_bundle.model import Bundle

_BACKLOG = 512
_PAUSE_SECONDS = 2.0
_NO_LIMIT = timedelta(days=365)
_LISTEN_HINTS = {
    errno.EADDRNOTAVAIL: "this computer has no such address: `ip address` lists those it has",
    errno.EADDRINUSE: "another program listens there, `ss -ltnp` names it: end it, or give another port to --listen",
    errno.EACCES: "ports below 1024 need root: give another port to --listen",
}
_TLS_REASONS = {"KEY_VALUES_MISMATCH": "the key belongs to another certificate"}
_NO_PEM = "one of them is not PEM, or the key has a password"


@dataclass(frozen=True, slots=True)
class Listen:
    """An address and a port to listen on. Port 0: any free one."""

    host: str
    port: int

    @property
    def is_everywhere(self) -> bool:
        """Return whether it means all addresses of this computer."""
        return ipaddress.ip_address(self.host).is_unspecified

    def url(self, *, has_tls: bool) -> str:
        """Return the URL of a server there."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if has_tls else 'http'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of the server's certificate and its key, both PEM."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return TLS with this certificate.

        Raises:
            InputError: a file cannot be read, or the key is not the certificate's.
        """
        for path in (self.certificate, self.key):  # OpenSSL does not say which one it cannot read
            if not os.access(path, os.R_OK):
                reason = os.strerror(errno.EACCES if path.exists() else errno.ENOENT).lower()
                raise InputError(f"cannot read {path}: {reason}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except ssl.SSLError as error:
            hint = "give a certificate, with its intermediate CAs, and its key, both PEM and the key without a password"
            reason = _TLS_REASONS.get(error.reason, _NO_PEM)
            raise InputError(f"{self.certificate} and {self.key} cannot be used: {reason}", hint) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(f"cannot read {self.certificate} or {self.key}: {reason}") from None
        return context


def _no_password() -> str:
    return ""  # otherwise OpenSSL asks on the terminal


@dataclass(frozen=True, slots=True)
class Service:
    """A server that is ready to listen. ``registry`` has the state of its machines.

    ``objects`` are the files with the published payloads of machines that have stubs.
    """

    cluster: Cluster
    warnings: tuple[Problem, ...]
    registry: Registry
    documents: Callable[[str], Mapping[str, bytes]] = field(repr=False)
    boot: Mapping[str, Path]
    objects: Mapping[str, Path] = field(default_factory=dict)


def prepare(
    cluster_file: Path,
    output: Path = image.DEFAULT_OUTPUT,
    *,
    only: Collection[str] = (),
    boot: Path | None = None,
    any_address: bool = False,
    certificate: Certificate | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Service:
    """Return a server for the machines of ``cluster_file``, and for those of pools that ``kgen seed`` has named.

    It serves what was rendered into ``output``. ``only`` names the machines to serve; default: all. ``boot`` is the
    directory with kernel and initrd. ``certificate`` is the server's, which stubs of `kgen publish --to serve` pin.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle or a name is wrong; what the cluster file says of a
            machine is not what was rendered or published; or stubs pin another certificate.
        KgenError: the disk refuses.
    """
    loaded = load(cluster_file)
    bundle = current_bundle(cluster_file, loaded.cluster, output)
    root = output / loaded.cluster.name
    with disk_errors(root):
        recorded = lock.read(root)
    section = recorded.section(rendering.SECTION)
    rendering.refuse_another_cluster(section, bundle, root, store.path_for(cluster_file), cluster_file)
    holders = _holders(loaded.cluster, seeds.members_in(recorded, root))
    if unknown := [name for name in only if name not in holders]:
        hint = f"the machines are {', '.join([*holders][:20])}; `kgen seed --pool POOL --name NAME` names one of a pool"
        raise InputError(f"there is no machine {unknown[0]!r}", hint)
    served = {name: holders[name] for name in holders if not only or name in only}
    if not served:
        raise InputError(f"{cluster_file} lists no machine", "list the machines below `machines`")
    refuse_what_was_not_rendered(cluster_file, loaded.cluster, bundle, served.values(), section, output)
    pipeline = Pipeline(replace(loaded.cluster, provider="nocloud"), bundle)
    seed_files = pipeline.seed_files()
    of_pipeline = {each.name: each for each in pipeline.cluster.documents}

    def documents(name: str) -> Mapping[str, bytes]:
        holder = served[name]
        return seed_files(of_pipeline[holder.name], name if holder.is_pool else "")

    keys = _published(cluster_file, loaded.cluster, bundle, output, served, certificate)
    tokens = {name: stub.token(bundle.service_account.key, key) for name, key in keys.items()}
    targets = [_target(name, holder) for name, holder in served.items()]
    return Service(
        cluster=loaded.cluster,
        warnings=loaded.warnings,
        registry=Registry(targets, tokens, any_address=any_address, on_event=on_event),
        documents=documents,
        boot=boot_files.find(boot) if boot else {},
        objects={name: root / OBJECTS / key for name, key in keys.items()},
    )


def _published(
    cluster_file: Path,
    cluster: Cluster,
    bundle: Bundle,
    output: Path,
    served: Mapping[str, Machine],
    certificate: Certificate | None,
) -> dict[str, str]:
    """Return the keys of the objects of machines whose stubs ask this server.

    Raises:
        InputError: they pin another certificate, or an object is not what the cluster file says now.
    """
    root = output / cluster.name
    recorded = published.recorded_bucket(root)
    if recorded.get("to") != "serve":
        return {}
    if certificate is None:
        raise InputError("stubs ask this server by HTTPS", "give --certificate and --key")
    again = published.to_serve(cluster_file, output, recorded["url"], str(certificate.certificate))
    if publishing.certificate_pin(certificate.certificate) != recorded["pin"]:
        message = f"{certificate.certificate} is not the certificate that the stubs pin"
        raise InputError(message, f"give that one, or run `{again}`, and give the machines their new stubs")
    with_stubs = [name for name in published.machines(root) if name in served]
    found = published.current(cluster, bundle, root, with_stubs)
    if stale := sorted(set(with_stubs) - set(found)):
        raise InputError(
            f"what {cluster_file} says now of {', '.join(stale[:5])} is not what is published", f"run `{again}`"
        )
    return {name: each.key for name, each in found.items()}


def run(
    service: Service,
    listener: socket.socket,
    *,
    tls: ssl.SSLContext | None = None,
    url: str = "",
    append: str = "",
    once: bool = False,
    is_over: Callable[[], bool] = lambda: False,
    on_loop: Callable[[asyncio.AbstractEventLoop], None] = lambda loop: None,
) -> None:
    """Serve until interrupted, or until ``is_over``; with ``once``, until every machine has its documents.

    ``tls`` is the context of a ``Certificate``. ``url`` is the server as machines reach it, default: the address at
    which they ask. ``append`` is the kernel's command line. ``on_loop`` is called with the running event loop.
    """
    from kgen.delivering.server import Content
    from kgen.delivering.server import Service as Server

    content = Content(
        cluster=service.cluster.name,
        documents=service.documents,
        instance_id=lambda name: instance_id(service.cluster, name),
        objects=service.objects,
        boot=service.boot,
        append=append,
        url=url,
    )

    async def serve() -> None:
        on_loop(asyncio.get_running_loop())
        server = Server(service.registry, content)
        await server.serve(listener, tls, lambda: is_over() or (once and service.registry.all_are_served))

    asyncio.run(serve())


@contextmanager
def listening(listen: Listen) -> Iterator[socket.socket]:
    """Yield a socket that listens.

    Raises:
        KgenError: the address is not this computer's, or the port is in use.
    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        listener = socket.create_server((listen.host, listen.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        number = error.errno or 0
        reason = os.strerror(number).lower()  # Python adds the address to the error's own text
        hint = _LISTEN_HINTS.get(number, "give another ADDRESS:PORT to --listen")
        raise KgenError(f"cannot listen on {listen.host} port {listen.port}: {reason}", hint) from error
    with listener:
        yield listener


def write_urls(service: Service, url: str, path: Path) -> None:
    """Write the kernel's argument for each machine to ``path``, for its owner only: ``<machine> <argument>`` a line.

    Raises:
        KgenError: the disk refuses.
    """
    lines = (
        f"{name} {ipxe.seed_argument(instance_id(service.cluster, name), f'{url}/{entry.token}/{name}/')}\n"
        for name, entry in service.registry.entries.items()
    )
    with disk_errors(path), locked(path.absolute().parent):
        replace_file(path, "".join(lines).encode(), 0o600)


def dhcp_configuration(service: Service, mode: dnsmasq.Mode, listen: Listen, url: str) -> str:
    """Return the configuration of dnsmasq, on this computer, for a server at ``url``.

    Raises:
        InputError: no IPv4 address or no port is given that machines reach.
    """
    if urlsplit(url).port == 0:
        raise InputError("--dhcp needs the port of kgen serve", "give it to --listen, for example 10.0.0.2:8080")
    for host in (listen.host, urlsplit(url).hostname or ""):
        with suppress(ValueError):
            address = ipaddress.ip_address(host)
            if isinstance(address, ipaddress.IPv4Address) and not (address.is_unspecified or address.is_loopback):
                targets = [entry.target for entry in service.registry.entries.values()]
                return dnsmasq.configuration(mode, service.cluster.name, address, url, targets)
    raise InputError(
        "PXE needs an IPv4 address of this computer that machines reach",
        "add --listen 10.0.0.2:8080, with its address",
    )


def require_server(service: Service, server: str) -> None:
    """Check the API server that ``ReadyWatch`` is to ask; "" is one of the cluster's own.

    Raises:
        InputError: it is no address of an API server.
    """
    from kgen.running.servers import candidates

    candidates(service.cluster, server)


class ReadyWatch:
    """A thread that tells the registry which machines are Ready, from when a machine has its user-data.

    The cluster's administrator asks, so it needs the secrets bundle and a way to an API server. Without them the
    machines' stage stays what they reported.
    """

    def __init__(self, cluster_file: Path, service: Service, loop: asyncio.AbstractEventLoop, server: str = "") -> None:
        """Prepare the thread; ``server`` is the API server to ask."""
        self._cluster_file = cluster_file
        self._service = service
        self._loop = loop
        self._server = server
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ReadyWatch:
        """Start it."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let it end. It may be in the middle of a request, for which nobody waits."""
        self._is_over.set()

    def _watch(self) -> None:
        while not any(entry.is_served for entry in self._service.registry.entries.values()):
            if self._is_over.wait(_PAUSE_SECONDS):
                return
        while not self._is_over.wait(_PAUSE_SECONDS):
            try:
                names = tuple(self._service.registry.entries)
                running.wait(
                    self._cluster_file, timeout=_NO_LIMIT, only=names, server=self._server, on_snapshot=self._saw
                )
            except KgenError:  # the endpoint is another cluster's, or does not know the bundle's administrator
                continue
            except _OverError:
                pass
            return

    def _saw(self, snapshot: Snapshot) -> None:
        if self._is_over.is_set():
            raise _OverError
        for machine in snapshot.machines:
            if machine.phase == "Ready":
                self._loop.call_soon_threadsafe(self._service.registry.ready, machine.name)


class _OverError(Exception):
    """The server has ended."""


def _holders(cluster: Cluster, members: Mapping[str, str]) -> dict[str, Machine]:
    """Return what each machine's document is made of, by the machine's name: its own entry, or that of its pool.

    ``members`` are the named machines of pools.
    """
    pools = {pool.name: pool for pool in cluster.pools}
    listed = {machine.name: machine for machine in cluster.machines}
    return listed | {name: pools[of] for name, of in members.items() if of in pools and name not in listed}


def refuse_what_was_not_rendered(
    cluster_file: Path,
    cluster: Cluster,
    bundle: Bundle,
    machines: Iterable[Machine],
    rendered: lock.Section,
    output: Path,
) -> None:
    """Refuse to serve a document that nobody could review: one that differs from the one in the output."""
    try:
        recorded = {name: entry["sha256"] for name, entry in rendered.facts.get("machines", {}).items()}
    except lock.MALFORMED:
        recorded = {}
    wanted = {machine.name for machine in machines}
    pipeline = Pipeline(cluster, bundle)
    chosen = [machine for machine in pipeline.cluster.documents if machine.name in wanted]
    made = pipeline.machine_artifacts(chosen, review_all=False, kept=lambda *_: None)
    differing = [
        info.machine for info in made if isinstance(info, DocumentInfo) and recorded.get(info.machine) != info.sha256
    ]
    if differing:
        names = ", ".join(differing[:5]) + (", …" if len(differing) > 5 else "")
        message = f"what {cluster_file} says now of {names} is not what was rendered"
        hint = f"run `{command('render', cluster_file, output=output)}`, review what changed, then serve"
        raise InputError(message, hint)


def _target(name: str, holder: Machine) -> Target:
    if holder.is_pool:
        return Target(name)
    return Target(name, holder.addresses, holder.mac, holder.serial, holder.uuid)
