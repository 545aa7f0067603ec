"""A cluster on this computer: the functions of ``kgen lab``."""

from __future__ import annotations

import hashlib
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from kgen import engine
from kgen.api import image as images
from kgen.api import rendering
from kgen.api.bundle import current_bundle
from kgen.api.delivery import refuse_what_was_not_rendered
from kgen.config import values
from kgen.config.load import load
from kgen.emitters.iso import iso
from kgen.errors import InputError, KgenError, Problem
from kgen.lab import consoles, disks, network, processes, qemu, qmp, state
from kgen.lab import endpoint as endpoints
from kgen.lab.consoles import Stage
from kgen.lab.state import Accelerator, Disk, Lab, LabMachine
from kgen.model import Cluster, Machine
from kgen.output import lock
from kgen.output.disk import create_file, disk_errors, locked, refuse_foreign, replace_file
from kgen.pipeline import Pipeline
from kgen.reader.kinds import Invalid
from kgen.secrets_bundle import store

if TYPE_CHECKING:
    from kgen.running.nodes import NodeView
    from kgen.running.wait import Snapshot
    from kgen.secrets_bundle.model import Bundle

MASTER_MEMORY, NODE_MEMORY = 4096, 2048
"""MiB of a machine, unless the user says otherwise. kubeadm's preflight wants 1700 on a master."""
_EMULATION_MEMORY = 1024  # MiB that QEMU itself needs beside an emulated machine, about
_EMULATION_FACTOR = 4  # of waits, when a machine is emulated
_USUAL_WAIT = timedelta(minutes=15)
_SHUTDOWN_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``kgen lab up`` is told beside the cluster file. 0, "" and None mean the default.

    ``pools`` says how many machines of each pool to start. ``kernel`` is for an image without a boot loader.
    """

    image: Path | None = None
    pools: Mapping[str, int] | None = None
    cpus: int = 0
    memory: int = 0
    api_port: int = 0
    kernel: Path | None = None
    initrd: Path | None = None
    append: str = ""
    disk: Disk | None = None
    accelerator: Accelerator | None = None


@dataclass(frozen=True, slots=True)
class MachineState:
    """One machine of a lab as it is now. ``node`` is None if the API does not have it, or does not answer."""

    machine: LabMachine
    power: str
    stage: Stage
    node: NodeView | None

    @property
    def phase(self) -> str:
        """Return the state of its Node in a word."""
        if self.node is None:
            return "-"
        return "Ready" if self.node.ready else "NotReady"


@dataclass(frozen=True, slots=True)
class Report:
    """A lab as it is now. ``obstacle`` says why the API does not answer."""

    lab: Lab
    seconds: float
    machines: tuple[MachineState, ...]
    obstacle: str


@dataclass(frozen=True, slots=True)
class Started:
    """A lab whose machines are on. ``notices`` are sentences about what was decided on the way."""

    lab: Lab
    cluster: Cluster
    bundle: Bundle
    warnings: tuple[Problem, ...]
    notices: tuple[str, ...]


def start_lab(
    cluster_file: Path,
    output: Path = images.DEFAULT_OUTPUT,
    settings: Settings = Settings(),
) -> Started:
    """Make the lab of ``cluster_file`` in ``output/<cluster>/lab`` and switch its machines on.

    A lab that exists is kept: its machines that are off are switched on.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle or a setting is wrong; what the cluster file says is not
            what was rendered, or not what the lab was made from.
        KgenError: a program is missing, memory or a port is, a machine does not start, or the disk refuses.
    """
    qemu.require_programs()
    loaded = load(cluster_file)
    cluster = loaded.cluster
    bundle = current_bundle(cluster_file, cluster, output)
    root = output.absolute() / cluster.name
    with disk_errors(root):
        section = lock.read(root).section(rendering.SECTION)
    rendering.refuse_another_cluster(section, bundle, root, store.path_for(cluster_file), cluster_file)
    refuse_what_was_not_rendered(cluster_file, cluster, bundle, cluster.documents, section, output)
    directory = root / state.DIRECTORY
    for each in (output, root, directory):
        refuse_foreign(each)
    with locked(root):
        lab = state.load(directory)
        wanted = _wanted(cluster, settings.pools or {}, lab)
        files = _seed_files(cluster, bundle, wanted)
        if lab is None:
            lab, notices = _make(cluster, bundle, directory, wanted, files, settings)
        else:
            _refuse_another_lab(lab, wanted, files, settings)
            notices = ()
        if lost := _without_network(lab):
            # QEMU connects to the switch at its start only.
            for machine in lost:
                processes.kill(lab.directory_of(machine.name))
            names = ", ".join(machine.name for machine in lost)
            notices = (*notices, f"the lab's switch had ended: the power of {names} was cut and is on again")
        _start_network(lab)
        for machine in lab.machines:
            _switch_on(lab, machine)
    return Started(lab, cluster, bundle, loaded.warnings, notices)


def wait(
    started: Started,
    *,
    timeout: timedelta | None = None,
    on_report: Callable[[Report], None] = lambda report: None,
    on_notice: Callable[[str], None] = lambda text: None,
) -> Report:
    """Wait until every machine of the lab is Ready, and return the last report.

    The bundle does not record that the cluster has run: the documents stay good for first boots, here and elsewhere.

    Raises:
        KgenError: the time is up, or a machine is off.
    """
    from kgen.running import wait as waiting
    from kgen.running.credential import credential
    from kgen.running.servers import ANY_API_SERVER, Server

    lab = started.lab
    servers = tuple(Server(f"https://127.0.0.1:{it.api_port}", ANY_API_SERVER) for it in lab.masters)
    names = [machine.name for machine in lab.machines]
    last: list[Report] = []

    def seen(snapshot: Snapshot) -> None:
        if lab.accelerator == qemu.KVM and _has_kvm_failed(lab):
            raise _KvmError
        nodes = {it.name: it.node for it in snapshot.machines}
        obstacle = "" if snapshot.server else snapshot.obstacle
        last[:] = [_report(lab, nodes, obstacle, snapshot.seconds)]
        on_report(last[0])
        if ended := _network_obstacle(lab):
            raise KgenError(ended, "start it again with the same `kgen lab up`")
        if off := next((it for it in last[0].machines if it.power == "off"), None):
            raise KgenError(f"{off.machine.name} is off", _look_at(off))

    while True:
        is_slow = lab.accelerator == qemu.TCG
        limit = timeout if timeout is not None else _USUAL_WAIT * (_EMULATION_FACTOR if is_slow else 1)
        try:
            waiting.wait(
                started.cluster,
                credential(started.bundle, datetime.now(UTC)),
                servers,
                goal="ready",
                timeout=limit,
                only=names,
                on_snapshot=seen,
            )
            return last[0]
        except _KvmError:
            lab = _emulate(lab)
            on_notice("KVM cannot run a guest here, so the machines were started again and are emulated, which is slow")
        except InputError:
            raise
        except KgenError as error:
            late = [it for report in last for it in report.machines if it.phase != "Ready"]
            failed = [it for it in late if it.stage.is_failed]
            lines = [f"{it.machine.name}: {it.stage.text}" for it in failed]
            hint = failed[0].stage.hint if failed else _look_at(late[0]) if late else error.hint
            raise KgenError("\n  ".join([error.message, *lines]), hint) from None


class _KvmError(Exception):
    """KVM met an instruction that it cannot run."""


def _look_at(it: MachineState) -> str:
    return f"its console says why: kgen lab console {it.machine.name}"


def lab_status(directory: Path) -> Report:
    """Return the state of the lab in ``directory``.

    Raises:
        KgenError: the lab's state is damaged.
    """
    lab = _existing(directory)
    nodes, obstacle = _nodes(lab)
    return _report(lab, nodes, obstacle, 0)


def console_log(directory: Path, name: str) -> Path:
    """Return the path of a machine's console log.

    Raises:
        InputError: there is no such machine.
        KgenError: the lab's state is damaged.
    """
    lab = _existing(directory)
    return lab.directory_of(lab.machine(name).name) / qemu.CONSOLE


def kubeconfig(directory: Path) -> Path:
    """Return the path of a kubeconfig for the lab. Its server is a master that is on, by a port of this computer.

    Raises:
        KgenError: the lab's state is damaged, or the disk refuses.
    """
    lab = _existing(directory)
    return _write_kubeconfig(lab)


def switch_on(directory: Path, name: str) -> bool:
    """Switch a machine on with the disk that it has; return whether it was off.

    Raises:
        InputError: there is no such machine.
        KgenError: it does not start, or machines that are on have lost the network.
    """
    qemu.require_programs()
    lab = _existing(directory)
    machine = lab.machine(name)
    with locked(lab.directory):
        if _without_network(lab):
            raise KgenError(_network_obstacle(lab), "`kgen lab up CLUSTER_FILE` cuts their power and starts all again")
        _start_network(lab)
        return _switch_on(lab, machine)


def cut_power(directory: Path, name: str) -> bool:
    """Cut a machine's power; return whether it was on.

    Raises:
        InputError: there is no such machine.
        KgenError: QEMU does not end.
    """
    lab = _existing(directory)
    return processes.kill(lab.directory_of(lab.machine(name).name))


def shut_down(directory: Path, name: str, *, timeout: timedelta | None = None) -> bool:
    """Press a machine's power button and wait until it is off; return whether it was on.

    Raises:
        InputError: there is no such machine.
        KgenError: it is still on after ``timeout``.
    """
    lab = _existing(directory)
    place = lab.directory_of(lab.machine(name).name)
    pid = processes.running_pid(place)
    if pid is None:
        return False
    factor = _EMULATION_FACTOR if lab.accelerator == qemu.TCG else 1
    seconds = timeout.total_seconds() if timeout is not None else _SHUTDOWN_SECONDS * factor
    qmp.ask(place, "system_powerdown")
    if not processes.has_ended(pid, seconds):
        raise KgenError(
            f"{name} is still on {seconds:.0f} s after its power button was pressed", f"kgen lab kill {name}"
        )
    return True


def remove_lab(directory: Path) -> tuple[str, ...]:
    """Cut the power of every machine, and remove the lab's directory with everything in it; return who was on.

    It needs no intact state, and touches nothing outside the directory.

    Raises:
        KgenError: a process does not end, or the disk refuses.
    """
    refuse_foreign(directory)
    with disk_errors(directory), locked(directory):
        places = sorted(path for path in directory.iterdir() if path.is_dir() and not path.is_symlink())
        was_on = tuple(path.name for path in places if processes.kill(path) and not path.name.startswith("."))
        shutil.rmtree(directory)
    return was_on


def _existing(directory: Path) -> Lab:
    refuse_foreign(directory)
    lab = state.load(directory)
    if lab is None:
        raise InputError(f"there is no lab in {directory}", "`kgen lab up CLUSTER_FILE --image IMAGE.qcow2` starts one")
    return lab


# What a lab consists of


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A machine that the lab shall have: a listed one, or ``name`` of the pool ``source``."""

    name: str
    source: Machine


def _wanted(cluster: Cluster, pools: Mapping[str, int], lab: Lab | None) -> list[_Wanted]:
    """Return the machines, in the order of the cluster file. A lab that exists keeps its machines of pools.

    Raises:
        InputError: there is no such pool, or a name cannot be used.
    """
    known = {pool.name: pool for pool in cluster.pools}
    if unknown := [name for name in pools if name not in known]:
        raise InputError(f"there is no pool {unknown[0]!r}", f"the pools are: {', '.join(known) or '(none)'}")
    wanted = [_Wanted(machine.name, machine) for machine in cluster.machines]
    if lab is not None and not pools:
        wanted += [_Wanted(it.name, known[it.pool]) for it in lab.machines if it.pool in known]
    for pool, count in pools.items():
        wanted += [_Wanted(f"{pool}-{number}", known[pool]) for number in range(1, count + 1)]
    names = [it.name for it in wanted]
    for name in names:
        if names.count(name) > 1 or (name in known and name not in {it.name for it in cluster.machines}):
            raise InputError(f"{name} would be the name of two machines", "rename the machine in the cluster file")
        try:
            values.node_name(name)
        except Invalid as wrong:
            raise InputError(wrong.message, wrong.hint) from None
    return wanted


def _seed_files(cluster: Cluster, bundle: Bundle, wanted: Sequence[_Wanted]) -> dict[str, dict[str, bytes]]:
    """Return the files of each machine's seed, as `kgen seed` writes them."""
    pipeline = Pipeline(replace(cluster, provider="nocloud"), bundle)
    seed_files = pipeline.seed_files()
    sources = {machine.name: machine for machine in pipeline.cluster.documents}
    return {it.name: dict(seed_files(sources[it.source.name], it.name if it.source.is_pool else "")) for it in wanted}


def _digest(files: Mapping[str, bytes]) -> str:
    return hashlib.sha256(files["user-data"]).hexdigest()


def _refuse_another_lab(
    lab: Lab, wanted: Sequence[_Wanted], files: Mapping[str, Mapping[str, bytes]], settings: Settings
) -> None:
    """Refuse to go on with a lab that was made from something else."""
    recorded = {machine.name: machine.document for machine in lab.machines}
    hint = "`kgen lab down` removes the lab with its disks; then start it again"
    if recorded.keys() != {it.name for it in wanted}:
        raise InputError(f"the lab in {lab.directory} has other machines: {', '.join(recorded)}", hint)
    if different := [name for name, digest in recorded.items() if digest != _digest(files[name])]:
        raise InputError(f"{', '.join(different)}: the lab was made from another document", hint)
    if settings.image is not None and str(settings.image.resolve()) != lab.image:
        raise InputError(f"the lab in {lab.directory} has the image {lab.image}", hint)
    for option, given, has in _settings(lab, settings):
        if given and {given} != has:
            made = ", ".join(sorted(map(str, has - {""}))) or "none"
            raise InputError(f"the lab in {lab.directory} was made with another {option}: {made}", hint)


def _settings(lab: Lab, settings: Settings) -> Iterator[tuple[str, str | int | None, set[str | int]]]:
    """Yield each setting of a lab: its option, the value that is given now, and those that the lab has."""
    yield "--kernel", str(settings.kernel.resolve()) if settings.kernel else "", {lab.kernel}
    yield "--initrd", str(settings.initrd.resolve()) if settings.initrd else "", {lab.initrd}
    yield "--append", settings.append, {lab.append}
    yield "--disk", settings.disk, {lab.disk}
    yield "--cpus", settings.cpus, {machine.cpus for machine in lab.machines}
    yield "--memory", settings.memory, {machine.memory for machine in lab.machines}
    yield "--api-port", settings.api_port, {lab.masters[0].api_port}
    yield "--accelerator", settings.accelerator, {lab.accelerator}


def _make(
    cluster: Cluster,
    bundle: Bundle,
    directory: Path,
    wanted: Sequence[_Wanted],
    files: Mapping[str, dict[str, bytes]],
    settings: Settings,
) -> tuple[Lab, tuple[str, ...]]:
    """Make a new lab's directory: state, disks, seeds and kubeconfig. Nothing stays of it if that fails."""
    if settings.image is None:
        raise InputError("a new lab needs an image", "add --image IMAGE.qcow2; `kgen bake` makes a recipe for one")
    endpoint = endpoints.plan(cluster)
    segment = network.plan([it.source for it in wanted], endpoint.address)
    if bundle.seen_running is not None:
        hint = "copy the cluster file into a directory of its own, render it there, and start the lab there"
        message = f"kgen has seen {cluster.name} run, so with its documents no master starts an empty etcd"
        raise InputError(message, hint)
    accelerator, notices = qemu.choose(settings.accelerator)
    image = disks.image(settings.image)
    if settings.kernel is None:
        disks.require_boot_sector(image)
    boot = [disks.boot_file(path) if path else "" for path in (settings.kernel, settings.initrd)]
    free = network.free_addresses(segment, [it.source for it in wanted], endpoint.address)
    machines = _machines(cluster, free, wanted, files, settings)
    _require_memory(machines, accelerator)
    lab = Lab(
        directory=directory,
        cluster=cluster.name,
        image=str(image.path),
        kernel=boot[0],
        initrd=boot[1],
        append=settings.append or qemu.APPEND,
        disk=settings.disk or "virtio",
        accelerator=accelerator,
        segment=segment,
        machines=machines,
    )
    with disk_errors(directory):
        if directory.exists():
            shutil.rmtree(directory)  # without a state: it was left by a kgen that was killed here
        directory.mkdir(mode=0o700)
        try:
            for it in machines:
                place = lab.directory_of(it.name)
                place.mkdir(mode=0o700)
                disks.overlay(place, image)
                seed = {**files[it.name], "vendor-data": endpoint.vendor_data}
                if "network-config" not in seed:
                    more = [str(endpoint.address)] if it.name == endpoint.holder else []
                    seed["network-config"] = engine.to_yaml(_network_config(lab, it, wanted, more)).encode()
                create_file(place / qemu.SEED, iso(seed), 0o600)
                if cluster.seals:
                    create_file(place / qemu.SEAL_KEY, bundle.seal_keys[it.pool or it.name].key.encode(), 0o600)
            for name in (state.SWITCH, state.GATEWAY):
                lab.directory_of(name).mkdir(mode=0o700)
            create_file(lab.kubeconfig, (directory.parent / state.KUBECONFIG).read_bytes(), 0o600)
            _write_kubeconfig(lab)
            state.save(lab)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
    return lab, (*notices, endpoint.notice) if endpoint.notice else notices


def _network_config(lab: Lab, machine: LabMachine, wanted: Sequence[_Wanted], more: Sequence[str]) -> dict[str, object]:
    (source,) = (it.source for it in wanted if it.name == machine.name)
    others = [str(address) for address in source.addresses if str(address) != machine.address]
    return network.config(lab.segment, [machine.address, *others, *more], machine.mac)


def _machines(
    cluster: Cluster,
    free: Iterator[IPv4Address],
    wanted: Sequence[_Wanted],
    files: Mapping[str, Mapping[str, bytes]],
    settings: Settings,
) -> tuple[LabMachine, ...]:
    ports = _Ports(settings.api_port)
    made = []
    for it in wanted:
        machine = it.source
        is_master = machine.role == "master"
        made.append(
            LabMachine(
                name=it.name,
                role=machine.role,
                pool=machine.name if machine.is_pool else "",
                address=str(network.first_ipv4(machine) or next(free)),
                mac=machine.mac or network.mac(cluster.name, it.name),
                uuid=machine.uuid,
                serial=machine.serial,
                cpus=settings.cpus or 2,
                memory=settings.memory or (MASTER_MEMORY if is_master else NODE_MEMORY),
                ssh_port=ports.free(),
                api_port=ports.api() if is_master else 0,
                bind_port=machine.bind_port,
                document=_digest(files[it.name]),
            )
        )
    return tuple(made)


class _Ports:
    """Ports of 127.0.0.1 that nobody listens on now, each given once."""

    def __init__(self, wanted: int) -> None:
        """Give ``wanted`` to the first master, if it is not 0."""
        self._wanted = wanted
        self._given: set[int] = set()

    def api(self) -> int:
        wanted, self._wanted = self._wanted, 0
        if not wanted:
            return self.free()
        if wanted in self._given or not _is_free(wanted):
            raise InputError(f"port {wanted} of 127.0.0.1 is taken", "choose another one with --api-port PORT")
        self._given.add(wanted)
        return wanted

    def free(self) -> int:
        while True:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                port = int(listener.getsockname()[1])
            if port not in self._given and port != self._wanted:
                self._given.add(port)
                return port


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def _require_memory(machines: Sequence[LabMachine], accelerator: Accelerator) -> None:
    available = disks.available_memory()
    beside = _EMULATION_MEMORY if accelerator == qemu.TCG else 0
    needed = sum(machine.memory + beside for machine in machines)
    if available and needed > available:
        hint = "end other programs, or give machines less with --memory MIB (a master needs 2048)"
        raise KgenError(f"the machines need {needed:,} MiB of memory; this computer has {available:,} to spare", hint)


# Power and network


def _start_network(lab: Lab) -> None:
    """Start switch and gateway unless they run."""
    if processes.running_pid(lab.directory_of(state.SWITCH)) is None:
        processes.kill(lab.directory_of(state.GATEWAY))  # it has lost the switch
        processes.start(qemu.switch_command(lab.directory_of(state.SWITCH)), lab.directory_of(state.SWITCH))
    if processes.running_pid(lab.directory_of(state.GATEWAY)) is None:
        _refuse_taken_ports(lab)
        place = lab.directory_of(state.GATEWAY)
        processes.start(qemu.gateway_command(lab, place), place)


def _network_obstacle(lab: Lab) -> str:
    """Return why no machine of the lab can be reached; "" if nothing of its network has ended."""
    for name in (state.SWITCH, state.GATEWAY):
        if processes.running_pid(lab.directory_of(name)) is None:
            return f"the lab's {name.lstrip('.')} has ended"
    return ""


def _without_network(lab: Lab) -> list[LabMachine]:
    """Return the machines that are on and have lost their network, because the switch has ended."""
    if processes.running_pid(lab.directory_of(state.SWITCH)) is not None:
        return []
    return [it for it in lab.machines if processes.running_pid(lab.directory_of(it.name)) is not None]


def _refuse_taken_ports(lab: Lab) -> None:
    for machine in lab.machines:
        for port in filter(None, (machine.ssh_port, machine.api_port)):
            if not _is_free(port):
                hint = f"end what listens there: ss -ltnp 'sport = :{port}'"
                raise KgenError(f"port {port} of 127.0.0.1, which leads to {machine.name}, is taken", hint)


def _switch_on(lab: Lab, machine: LabMachine) -> bool:
    place = lab.directory_of(machine.name)
    if processes.running_pid(place) is not None:
        return False
    with disk_errors(place):
        consoles.mark_power_on(place / qemu.CONSOLE)
    processes.start(qemu.machine_command(lab, machine, place), place)
    return True


def _has_kvm_failed(lab: Lab) -> bool:
    """Return whether KVM met an instruction that it cannot run: /dev/kvm opens there, but no guest gets far."""
    return any(qmp.status(lab.directory_of(machine.name)) == "internal-error" for machine in lab.machines)


def _emulate(lab: Lab) -> Lab:
    """Start the machines again without KVM, and remember that."""
    lab = state.with_accelerator(lab, qemu.TCG)
    _require_memory(lab.machines, qemu.TCG)
    with locked(lab.directory):
        state.save(lab)
        for machine in lab.machines:
            processes.kill(lab.directory_of(machine.name))
            _switch_on(lab, machine)
    return lab


# Looking at a lab


def _report(lab: Lab, nodes: Mapping[str, NodeView | None], obstacle: str, seconds: float) -> Report:
    return Report(
        lab=lab,
        seconds=seconds,
        machines=tuple(
            MachineState(
                machine=machine,
                power="on" if processes.running_pid(lab.directory_of(machine.name)) else "off",
                stage=consoles.stage(lab.directory_of(machine.name) / qemu.CONSOLE),
                node=nodes.get(machine.name),
            )
            for machine in lab.machines
        ),
        obstacle=obstacle,
    )


def _nodes(lab: Lab) -> tuple[Mapping[str, NodeView], str]:
    """Return the Nodes by name, and why the API does not answer."""
    from kgen.running.connection import RefusedError, SilentError, from_kubeconfig
    from kgen.running.nodes import nodes

    if not any(processes.running_pid(lab.directory_of(it.name)) for it in lab.masters):
        return {}, "no master is on"
    if ended := _network_obstacle(lab):
        return {}, f"{ended}: `kgen lab up CLUSTER_FILE` starts it again"
    try:
        return nodes(from_kubeconfig(_write_kubeconfig(lab), "").items("list_node")), ""
    except SilentError as error:
        return {}, error.silence.reason
    except RefusedError as error:
        return {}, error.message


def _write_kubeconfig(lab: Lab) -> Path:
    """Point the lab's copy of admin.conf to the first master that is on, by this computer's port."""
    on = [it for it in lab.masters if processes.running_pid(lab.directory_of(it.name)) is not None]
    master = (on or lab.masters)[0]
    path = lab.kubeconfig
    with disk_errors(path):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for entry in content["clusters"]:
            entry["cluster"]["server"] = f"https://127.0.0.1:{master.api_port}"
            entry["cluster"]["tls-server-name"] = master.address
        text = yaml.safe_dump(content, sort_keys=False).encode()
        if text != path.read_bytes():
            replace_file(path, text, 0o600)
    return path
