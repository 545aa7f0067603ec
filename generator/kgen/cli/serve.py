"""``kgen serve``."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from kgen.cli import arguments, console
from kgen.delivering.urls import is_of_server
from kgen.errors import InputError, KgenError

if TYPE_CHECKING:
    from rich.table import Table

    from kgen.api.delivery import Listen
    from kgen.delivering.registry import Event, Registry

_MOST_ROWS = 30
_MOST_PORT = 65535
_COMMAND_ENDS = (";", "&&", "||")  # of iPXE: src/core/exec.c
_COLOURS = {
    "Ready": "green",
    "user-data taken": "cyan",
    "first boot": "cyan",
    "first boot ended": "cyan",
    "loader": "yellow",
    "seed": "yellow",
}


class _Listen(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.2 on
    """``ADDRESS:PORT``, with an IPv6 address in brackets."""

    name = "address:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Listen:
        """Return it, or say what is wrong with it."""
        from kgen.api.delivery import Listen

        if isinstance(value, Listen):
            return value
        host, colon, port = str(value).rpartition(":")
        is_number = port.isascii() and port.isdecimal() and len(port) <= len(str(_MOST_PORT))
        try:
            address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        except ValueError:
            self.fail(f"{value!r} has no IP address before the port: write 10.0.0.2:8080 or [fd00::2]:8080", param, ctx)
        if not colon or not is_number or int(port) > _MOST_PORT or (address.version == 6 and not host.startswith("[")):
            self.fail(f"{value!r} has no port: write 10.0.0.2:8080 or [fd00::2]:8080", param, ctx)
        return Listen(str(address), int(port))


class _Url(click.ParamType):  # type: ignore[type-arg]
    """The URL of this server."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it, or say what is wrong with it."""
        text = str(value)
        if not text:
            return ""
        if not is_of_server(text, "http", "https"):
            self.fail(f"{text!r} is not the URL of a server: write http://10.0.0.2:8080", param, ctx)
        return text.rstrip("/")


class _Append(click.ParamType):  # type: ignore[type-arg]
    """A kernel's command line."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it, or say what is wrong with it."""
        text = str(value)
        if not text.isascii() or not text.isprintable():
            self.fail("a kernel's command line has one line of printable ASCII characters", param, ctx)
        if any(word.startswith("ds=") for word in text.split()):
            self.fail("leave ds= out: kgen adds it, with the machine's own URL", param, ctx)
        if ends := [word for word in text.split() if word in _COMMAND_ENDS or word.startswith("#")]:
            self.fail(f"leave {ends[0]} out: iPXE ends a command there", param, ctx)
        return text


@click.command(short_help="Serve the machines' documents over HTTP, and start them by iPXE.")
@arguments.CLUSTER_FILE
@arguments.output("Serve what was rendered into DIR/<cluster>.")
@click.option("--listen", type=_Listen(), default="0.0.0.0:8080", metavar="ADDRESS:PORT", show_default=True)
@click.option("--url", type=_Url(), default="", metavar="URL", help="This server as machines reach it.")
@click.option("--only", multiple=True, metavar="NAME", help="Serve this machine only; may be given several times.")
@click.option("--once", is_flag=True, help="End with 0 when every machine has taken its documents.")
@click.option("--any-address", is_flag=True, help="Serve a machine at any address, not only at its own.")
@click.option("--urls", type=click.Path(path_type=Path), metavar="FILE", help="Write each machine's seed URL to FILE.")
@click.option("--boot-files", type=click.Path(path_type=Path), metavar="DIR", help="Serve kernel and initrd of DIR.")
@click.option("--append", type=_Append(), default="", metavar="TEXT", help="Add TEXT to the kernel's command line.")
@click.option(
    "--certificate", type=click.Path(path_type=Path), metavar="FILE", help="Serve HTTPS with it; needs --key."
)
@click.option("--key", type=click.Path(path_type=Path), metavar="FILE", help="The key of --certificate.")
@click.option(
    "--dhcp",
    type=click.Choice(["proxy", "full"]),
    is_flag=False,
    flag_value="proxy",
    help="Print dnsmasq's configuration and end: beside a DHCP server (proxy, the default), or as one (full).",
)
@arguments.SERVER
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each event on stdout.")
def serve(
    cluster_file: Path,
    output: Path,
    listen: Listen,
    url: str,
    only: tuple[str, ...],
    once: bool,
    any_address: bool,
    urls: Path | None,
    boot_files: Path | None,
    append: str,
    certificate: Path | None,
    key: Path | None,
    dhcp: Literal["proxy", "full"] | None,
    server: str,
    as_json: bool,
) -> None:
    """Give each machine of CLUSTER_FILE its documents over HTTP, and to no other machine.

    Run `kgen render` before. Machines start by iPXE from http://HOST:PORT/boot.ipxe with --boot-files, or with the
    kernel argument that --urls writes. A machine's URL has a token that is good until the machine has its user-data.
    A machine with an address in the cluster file is served at that address only. Start kgen serve again to serve a
    machine once more.
    """
    from kgen.api import delivery

    if bool(certificate) != bool(key):
        raise click.UsageError("--certificate and --key belong together")
    if append and not boot_files:
        raise click.UsageError("--append is the command line of the kernel in --boot-files DIR: give that, too")
    if (urls or dhcp) and not url and listen.is_everywhere:
        option = "--dhcp" if dhcp else "--urls"
        raise InputError(
            f"{option} needs the address that machines reach: {listen.host} stands for all addresses of this computer",
            "add --listen ADDRESS:PORT or --url http://ADDRESS:PORT",
        )
    pair = delivery.Certificate(certificate, key) if certificate and key else None
    tls = pair.context() if pair else None
    if dhcp:
        service = delivery.prepare(cluster_file, output, only=only, certificate=pair)
        base = url or listen.url(has_tls=tls is not None)
        configuration = delivery.dhcp_configuration(service, dhcp, listen, base)
        if as_json:
            console.out_json({"dnsmasq": configuration})
        else:
            console.out(configuration.rstrip("\n"))
        return
    with _shown(as_json=as_json) as shown:
        service = delivery.prepare(
            cluster_file,
            output,
            only=only,
            boot=boot_files,
            any_address=any_address,
            certificate=pair,
            on_event=shown.event,
        )
        delivery.require_server(service, server)
        for problem in service.warnings:
            console.warning(problem)
        with delivery.listening(listen) as listener, ExitStack() as watching:
            bound = delivery.Listen(*listener.getsockname()[:2])
            base = url or bound.url(has_tls=tls is not None)
            if urls:
                delivery.write_urls(service, base, urls)
            shown.start(base, service.registry)

            def watch(loop: asyncio.AbstractEventLoop) -> None:
                if once:  # it ends before a machine can be Ready
                    return
                watching.enter_context(delivery.ReadyWatch(cluster_file, service, loop, server))

            delivery.run(
                service,
                listener,
                tls=tls,
                url=url,
                append=append,
                once=once,
                is_over=lambda: shown.failure is not None,
                on_loop=watch,
            )
            if shown.failure:
                raise shown.failure


class _Lines:
    """A printer of a line for each event: text on stderr, or JSON on stdout.

    An event comes from the middle of an answer to a machine, so an error of printing waits until the server has ended.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.failure: Exception | None = None

    def start(self, url: str, registry: Registry) -> None:
        started = {"time": _now(), "event": "listening", "url": url, "machines": [*registry.entries]}
        self._print(json.dumps(started) if self._as_json else _listening(url, registry))

    def event(self, event: Event) -> None:
        if self.failure is None:
            try:
                self._print(json.dumps(_as_json(event)) if self._as_json else _line(event))
            except (console.ReaderGoneError, KgenError) as failure:
                self.failure = failure
            except OSError:  # of stderr
                self.failure = console.ReaderGoneError()

    def _print(self, line: str) -> None:
        (console.out if self._as_json else console.note)(line)  # click flushes


class _Live:
    """A table of the machines, with the lines of events above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self.failure: Exception | None = None
        self._registry: Registry | None = None
        self._live = Live(console=Console(stderr=True), auto_refresh=False)

    def start(self, url: str, registry: Registry) -> None:
        self._registry = registry
        self._live.console.print(_listening(url, registry), markup=False, highlight=False)
        self._live.start()
        self._live.update(_table(registry), refresh=True)

    def event(self, event: Event) -> None:
        if event.is_refusal:
            self._live.console.print(_line(event), markup=False, highlight=False, style="yellow")
        if self._registry:
            self._live.update(_table(self._registry), refresh=True)

    def stop(self) -> None:
        self._live.stop()


@contextmanager
def _shown(*, as_json: bool) -> Iterator[_Lines | _Live]:
    """Yield what shows events: a live table on a terminal, else lines."""
    if as_json or not sys.stderr.isatty():
        yield _Lines(as_json=as_json)
        return
    live = _Live()
    try:
        yield live
    finally:
        live.stop()


def _table(registry: Registry) -> Table:
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False)
    for heading in ("machine", "stage", "address", "last"):
        made.add_column(heading, no_wrap=heading != "last", overflow="ellipsis")
    entries = registry.entries
    for name, entry in [*entries.items()][:_MOST_ROWS]:
        stage = Text(entry.stage, style=_COLOURS.get(entry.stage, "dim"))
        made.add_row(name, stage, entry.seen_from, Text(entry.last))
    if len(entries) > _MOST_ROWS:
        made.add_row(f"… {len(entries) - _MOST_ROWS:,} more", "", "", "")
    for address, text in registry.unknown.items():
        made.add_row("(unknown)", Text("not served", style="yellow"), address, Text(text))
    return made


def _listening(url: str, registry: Registry) -> str:
    return f"serving {len(registry.entries):,} machines at {url}; iPXE starts from {url}/boot.ipxe; Ctrl-C ends"


def _line(event: Event) -> str:
    where = f" [{event.address}]" if event.address else ""
    return f"{_now()}  {'refused: ' * event.is_refusal}{event.machine or '(unknown)'}{where}: {event.text}"


def _as_json(event: Event) -> dict[str, Any]:
    return {
        "time": _now(),
        "event": "refused" if event.is_refusal else "served",
        "machine": event.machine or None,
        "stage": event.stage,
        "address": event.address or None,
        "text": event.text,
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
