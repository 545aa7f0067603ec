"""``kgen lab``: a cluster's machines on this computer."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from kgen.cli import arguments, console
from kgen.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from kgen.api.labs import MachineState, Report

MOST_ROWS = 30
_COLOURS = {"Ready": "green", "NotReady": "yellow"}
_FOLLOW_SECONDS = 0.3
_MOST_MACHINES = 100

_OUTPUT = arguments.output("The lab is in DIR/<cluster>/lab.")
_CLUSTER = click.option("--cluster", default="", metavar="NAME", help="The cluster's name, if DIR has several labs.")
_MACHINE = click.argument("machine")
_DIRECTORY = click.Path(path_type=Path, file_okay=False, exists=True)
_KERNEL = click.option(
    "--kernel", type=click.Path(path_type=Path), metavar="FILE", help="For an image without a boot loader."
)
_INITRD = click.option("--initrd", type=click.Path(path_type=Path), metavar="FILE", help="The initrd of --kernel.")
_APPEND = click.option(
    "--append", default="", metavar="TEXT", help="The command line of --kernel; default root=/dev/vda rw console=ttyS0."
)
_TIMEOUT = click.option(
    "--timeout",
    type=arguments.Duration(),
    metavar="DURATION",
    help="Give up after this long; default 15m, emulated 1h.",
)
_ACCELERATOR = click.option(
    "--accelerator", type=click.Choice(["kvm", "tcg"]), help="Default: KVM where it works, else emulation."
)


class _Pool(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.2 on
    """``NAME=COUNT``."""

    name = "pool"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Return name and count, or say what is wrong."""
        if isinstance(value, tuple):
            return value
        name, _, count = str(value).partition("=")
        if not name or not (count.isascii() and count.isdecimal()) or not 0 < int(count[:4]) <= _MOST_MACHINES:
            self.fail(f"{value!r} is no pool and number of machines: write workers=2", param, ctx)
        return name, int(count)


@click.group(short_help="Run the cluster's machines on this computer, under QEMU.")
def lab() -> None:
    """Run a cluster's machines on this computer, under QEMU, from exactly the rendered documents. Needs no root.

    `kgen lab image` makes their image, `kgen lab up cluster.yaml --image IMAGE.qcow2` starts them, `kgen lab down`
    removes them. The other verbs find the lab in the output directory.
    """


@lab.command(short_help="Start the machines and wait until they are Ready.")
@arguments.CLUSTER_FILE
@arguments.output("Keep the lab in DIR/<cluster>/lab.")
@click.option("--image", type=click.Path(path_type=Path), metavar="FILE", help="The machines' image; it is only read.")
@click.option(
    "--pool", "pools", type=_Pool(), multiple=True, metavar="NAME=COUNT", help="Start so many machines of a pool, too."
)
@click.option("--cpus", type=click.IntRange(1, 64), metavar="COUNT", help="Processors of each machine; default 2.")
@click.option(
    "--memory", type=click.IntRange(256, 1 << 20), metavar="MIB", help="Memory of each; default 4096, nodes 2048."
)
@click.option(
    "--api-port", type=click.IntRange(1, 65535), metavar="PORT", help="Forward this port to the first master's API."
)
@_KERNEL
@_INITRD
@_APPEND
@click.option("--disk", type=click.Choice(["virtio", "nvme"]), help="The kind of the machines' disks; default virtio.")
@_ACCELERATOR
@_TIMEOUT
@arguments.JSON
def up(
    cluster_file: Path,
    output: Path,
    image: Path | None,
    pools: tuple[tuple[str, int], ...],
    cpus: int | None,
    memory: int | None,
    api_port: int | None,
    kernel: Path | None,
    initrd: Path | None,
    append: str,
    disk: Literal["virtio", "nvme"] | None,
    accelerator: Literal["kvm", "tcg"] | None,
    timeout: timedelta | None,
    as_json: bool,
) -> None:
    """Start the machines of CLUSTER_FILE on this computer and wait until all are Ready. Run `kgen render` before.

    Each machine has the image as its disk, with what it writes kept apart, and its rendered document. The machines are
    on a network of their own with the addresses of the cluster file. Ports of 127.0.0.1 lead to SSH and to the API
    server. If the lab exists, the machines that are off are started.
    """
    from kgen.api import labs

    _refuse_lone_initrd(kernel, initrd)
    settings = labs.Settings(
        image=image,
        pools=dict(pools),
        cpus=cpus or 0,
        memory=memory or 0,
        api_port=api_port or 0,
        kernel=kernel,
        initrd=initrd,
        append=append,
        disk=disk,
        accelerator=accelerator,
    )
    started = labs.start_lab(cluster_file, output, settings)
    for problem in started.warnings:
        console.warning(problem)
    for text in started.notices:
        console.note(text)
    with _watcher() as on_report:
        report = labs.wait(started, timeout=timeout, on_report=on_report, on_notice=console.note)
    if as_json:
        console.out_json(_as_json(report), started.warnings)
        return
    console.out(_table(report))
    console.out()
    console.out(f"next: export KUBECONFIG={_shown(started.lab.kubeconfig)}")
    console.out("  kubectl get nodes")
    first = started.lab.machines[0].name
    console.out(f"  kgen lab status; kgen lab console {first}; kgen lab kill {first}; kgen lab start {first}")
    console.out("  kgen lab down     # removes the machines and their disks")


@lab.command(short_help="Make the machines' image from a cloud image.")
@arguments.CLUSTER_FILE
@arguments.output("Write the recipe to DIR/<cluster>/bake.")
@click.option(
    "--from",
    "base",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="A cloud image of Debian, qcow2 or raw; it is only read.",
)
@click.option(
    "-o", "--image", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The image to write, qcow2."
)
@click.option(
    "--archives", type=_DIRECTORY, metavar="DIR", help="Archives of container images; those it lacks are pulled."
)
@click.option(
    "--files",
    type=_DIRECTORY,
    metavar="DIR",
    help="The programs that the cluster file names by file: kubelet, kubectl.",
)
@click.option("--wheels", type=_DIRECTORY, metavar="DIR", help="Wheels of Salt and pip, instead of the package index.")
@_KERNEL
@_INITRD
@_APPEND
@_ACCELERATOR
@_TIMEOUT
@arguments.JSON
def image(
    cluster_file: Path,
    output: Path,
    base: Path,
    image: Path,
    archives: Path | None,
    files: Path | None,
    wheels: Path | None,
    kernel: Path | None,
    initrd: Path | None,
    append: str,
    accelerator: Literal["kvm", "tcg"] | None,
    timeout: timedelta | None,
    as_json: bool,
) -> None:
    """Make the image of the machines of CLUSTER_FILE: a cloud image with the recipe of `kgen bake` applied.

    A copy of the cloud image is started once under QEMU, and the recipe is applied inside. That needs no root, and no
    programs beside those of `kgen lab up`. The machine fetches packages, Salt, kubelet and container images from the
    network, except what the options give it. The image holds nothing secret, and also works in clouds.
    """
    from kgen.api import lab_images

    _refuse_lone_initrd(kernel, initrd)
    settings = lab_images.ImageSettings(
        archives=archives,
        files=files,
        wheels=wheels,
        kernel=kernel,
        initrd=initrd,
        append=append,
        accelerator=accelerator,
        timeout=timeout,
    )
    baked = lab_images.make_image(cluster_file, base, image, output, settings, on_line=console.note)
    for problem in baked.warnings:
        console.warning(problem)
    recipe = baked.recipe
    if as_json:
        facts = {"image": str(image), "recipe": recipe.sha256, "kubernetesVersion": recipe.kubernetes_version}
        console.out_json(facts, baked.warnings)
        return
    console.out(f"{image}: recipe {recipe.sha256[:12]} for Kubernetes {recipe.kubernetes_version}")
    words = ["kgen", "lab", "up", str(cluster_file), "--image", str(image)]
    if kernel:
        words += ["--kernel", str(kernel), *(("--initrd", str(initrd)) if initrd else ())]
        words += ["--append", append] if append else []
    console.out(f"next: {shlex.join(words)}")


@lab.command(short_help="Show the machines: power, first boot, Node, ports.")
@_OUTPUT
@_CLUSTER
@arguments.JSON
def status(output: Path, cluster: str, as_json: bool) -> None:
    """Show each machine of the lab: whether it is on, how far its first boot is, its Node, and the forwarded ports."""
    from kgen.api import labs

    report = labs.lab_status(_find(output, cluster))
    if as_json:
        console.out_json(_as_json(report))
        return
    console.out(_table(report))
    if report.obstacle:
        console.note(f"the API does not answer: {report.obstacle}")


@lab.command("console", short_help="Show a machine's console.")
@_MACHINE
@click.option("--follow", "-f", is_flag=True, help="Go on with what the console shows from now on; Ctrl-C ends.")
@_OUTPUT
@_CLUSTER
def console_(machine: str, follow: bool, output: Path, cluster: str) -> None:
    """Show what the serial console of MACHINE has shown since the lab was made."""
    from kgen.api import labs
    from kgen.lab import consoles

    log = labs.console_log(_find(output, cluster), machine)
    try:
        file = log.open("rb")
    except FileNotFoundError:
        raise InputError(f"{machine} was never on", f"kgen lab start {machine}") from None
    with file:
        while True:
            if lines := file.readlines():
                console.out(consoles.readable(b"".join(lines).decode(errors="replace")).rstrip("\n"))
                sys.stdout.flush()
            if not follow:
                return
            time.sleep(_FOLLOW_SECONDS)


@lab.command(short_help="Print the path of a kubeconfig for the lab.")
@_OUTPUT
@_CLUSTER
@arguments.JSON
def kubeconfig(output: Path, cluster: str, as_json: bool) -> None:
    """Print the path of the administrator's kubeconfig for this computer: export KUBECONFIG=$(kgen lab kubeconfig).

    Its server is the first master that is on, by a forwarded port.
    """
    from kgen.api import labs

    path = labs.kubeconfig(_find(output, cluster))
    if as_json:
        console.out_json({"kubeconfig": str(path)})
    else:
        console.out(str(_shown(path)))


@lab.command(short_help="Shut a machine down.")
@_MACHINE
@click.option(
    "--timeout", type=arguments.Duration(), metavar="DURATION", help="Wait this long; default 90s, emulated 6m."
)
@_OUTPUT
@_CLUSTER
@arguments.JSON
def stop(machine: str, timeout: timedelta | None, output: Path, cluster: str, as_json: bool) -> None:
    """Press the power button of MACHINE and wait until it has shut down."""
    from kgen.api import labs

    was_on = labs.shut_down(_find(output, cluster), machine, timeout=timeout)
    _print_power(machine, "off", f"{machine} is off", changed=was_on, as_json=as_json)


@lab.command(short_help="Switch a machine on.")
@_MACHINE
@_OUTPUT
@_CLUSTER
@arguments.JSON
def start(machine: str, output: Path, cluster: str, as_json: bool) -> None:
    """Switch MACHINE on, with the disk that it has."""
    from kgen.api import labs

    was_off = labs.switch_on(_find(output, cluster), machine)
    _print_power(machine, "on", f"{machine} is on", changed=was_off, as_json=as_json)


@lab.command(short_help="Cut a machine's power.")
@_MACHINE
@_OUTPUT
@_CLUSTER
@arguments.JSON
def kill(machine: str, output: Path, cluster: str, as_json: bool) -> None:
    """Cut the power of MACHINE. Its disk keeps what was written."""
    from kgen.api import labs

    was_on = labs.cut_power(_find(output, cluster), machine)
    _print_power(machine, "off", f"{machine} is off: its power was cut", changed=was_on, as_json=as_json)


@lab.command(short_help="Remove the lab: machines, disks, state.")
@_OUTPUT
@_CLUSTER
@arguments.JSON
def down(output: Path, cluster: str, as_json: bool) -> None:
    """Cut the power of every machine and remove the lab with all its disks. The image and the render stay."""
    from kgen.api import labs

    directory = _find(output, cluster)
    was_on = labs.remove_lab(directory)
    if as_json:
        console.out_json({"directory": str(directory), "cut": list(was_on)})
    else:
        console.out(f"{_shown(directory)} is removed")


def _print_power(machine: str, power: str, done: str, *, changed: bool, as_json: bool) -> None:
    if as_json:
        console.out_json({"machine": machine, "power": power, "changed": changed})
    else:
        console.out(done if changed else f"{machine} was {power} already")


def _refuse_lone_initrd(kernel: Path | None, initrd: Path | None) -> None:
    if initrd and not kernel:
        raise click.UsageError("--initrd belongs to a --kernel: give that, too")


def _find(output: Path, cluster: str) -> Path:
    from kgen.lab import state

    return state.find(output, cluster)


def _shown(path: Path) -> Path:
    """Return a path as people write it here."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def _table(report: Report) -> str:
    rows = [
        (it.machine.name, it.machine.role, it.machine.address, it.power, it.stage.text, it.phase, *_ports(it))
        for it in report.machines
    ]
    return console.table(("machine", "role", "address", "power", "first boot", "node", "API port", "SSH port"), rows)


def _ports(it: MachineState) -> tuple[str, str]:
    return str(it.machine.api_port or "-"), str(it.machine.ssh_port)


def _as_json(report: Report) -> dict[str, Any]:
    lab = report.lab
    return {
        "cluster": lab.cluster,
        "directory": str(lab.directory),
        "kubeconfig": str(lab.kubeconfig),
        "accelerator": lab.accelerator,
        "network": str(lab.segment.cidr),
        "obstacle": report.obstacle or None,
        "machines": [
            {
                "machine": it.machine.name,
                "role": it.machine.role,
                "pool": it.machine.pool or None,
                "address": it.machine.address,
                "power": it.power,
                "stage": it.stage.text,
                "failed": it.stage.is_failed,
                "state": it.phase if it.node else None,
                "apiPort": it.machine.api_port or None,
                "sshPort": it.machine.ssh_port,
            }
            for it in report.machines
        ],
    }


@contextmanager
def _watcher() -> Iterator[Callable[[Report], None]]:
    """Yield a function that shows every report: a live table on a terminal, else a line for each change."""
    if not sys.stderr.isatty():
        yield _Lines().show
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
        yield lambda report: live.update(_live_table(report), refresh=True)


class _Lines:
    """A printer of a line for each machine whose state differs from the report before."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}

    def show(self, report: Report) -> None:
        for it in report.machines:
            state = it.phase if it.node else it.stage.text
            if self._shown.get(it.machine.name) != state:
                self._shown[it.machine.name] = state
                console.note(f"{_clock(report.seconds)}  {it.machine.name}: {state}")


def _live_table(report: Report) -> Table:
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, title_justify="left")
    emulated = ", emulated" if report.lab.accelerator == "tcg" else ""
    made.title = Text(f"{_clock(report.seconds)}  lab of {report.lab.cluster}{emulated}")
    for heading in ("machine", "role", "power", "first boot", "node"):
        made.add_column(heading, no_wrap=heading != "first boot", overflow="ellipsis")
    for it in report.machines[:MOST_ROWS]:
        phase = Text(it.phase, style=_COLOURS.get(it.phase, "dim"))
        stage = Text(it.stage.text, style="red" if it.stage.is_failed else "")
        made.add_row(it.machine.name, it.machine.role, it.power, stage, phase)
    if len(report.machines) > MOST_ROWS:
        made.add_row(f"… {len(report.machines) - MOST_ROWS:,} more", "", "", "", "")
    return made


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
