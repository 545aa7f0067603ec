"""The state of a lab: ``lab.json`` in the lab's directory, and a directory for each machine beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Literal

from kgen.errors import InputError, KgenError
from kgen.lab.network import Segment
from kgen.output.disk import disk_errors, read_plain_file, replace_file

DIRECTORY = "lab"
STATE_FILE = "lab.json"
KUBECONFIG = "admin.conf"
MACHINES_SOCKET = "machines.sock"
GATEWAY_SOCKET = "gateway.sock"
SWITCH = ".switch"  # no machine has a name with a dot at its beginning
GATEWAY = ".gateway"
_FORMAT = 1

Accelerator = Literal["kvm", "tcg"]
Disk = Literal["virtio", "nvme"]


@dataclass(frozen=True, slots=True)
class LabMachine:
    """One machine of a lab. ``address`` is its IPv4 address; the ports are those of this computer that lead to it.

    ``api_port`` is 0 on nodes. ``bind_port`` is the API server's own. ``document`` is the SHA-256 of its user-data.
    """

    name: str
    role: str
    pool: str
    address: str
    mac: str
    uuid: str
    serial: str
    cpus: int
    memory: int
    ssh_port: int
    api_port: int
    bind_port: int
    document: str


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab in ``directory``, which is absolute. Paths of image, kernel and initrd are absolute, too."""

    directory: Path
    cluster: str
    image: str
    kernel: str
    initrd: str
    append: str
    disk: Disk
    accelerator: Accelerator
    segment: Segment
    machines: tuple[LabMachine, ...]

    def machine(self, name: str) -> LabMachine:
        """Return a machine by name.

        Raises:
            InputError: there is no such machine.
        """
        for machine in self.machines:
            if machine.name == name:
                return machine
        names = ", ".join(machine.name for machine in self.machines)
        raise InputError(f"there is no machine {name!r} in the lab", f"the machines are {names}")

    def directory_of(self, name: str) -> Path:
        """Return the directory of a machine, of the switch or of the gateway."""
        return self.directory / name

    @property
    def masters(self) -> tuple[LabMachine, ...]:
        """Return the masters, in the order of the cluster file."""
        return tuple(machine for machine in self.machines if machine.role == "master")

    @property
    def kubeconfig(self) -> Path:
        """Return the path of the administrator's kubeconfig for this computer."""
        return self.directory / KUBECONFIG


def save(lab: Lab) -> None:
    """Write the state.

    Raises:
        KgenError: the disk refuses.
    """
    facts = asdict(lab)
    del facts["directory"]
    segment = {key: str(value) for key, value in facts.pop("segment").items()}
    text = json.dumps({"format": _FORMAT, **facts, "segment": segment}, indent=2) + "\n"
    path = lab.directory / STATE_FILE
    with disk_errors(path):
        replace_file(path, text.encode(), 0o600)


def load(directory: Path) -> Lab | None:
    """Return the lab in ``directory``, None if there is none.

    Raises:
        KgenError: its state is damaged.
    """
    path = directory / STATE_FILE
    try:
        with disk_errors(path):
            text = read_plain_file(path, follow=False)
    except KgenError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    try:
        return _read(directory, json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        hint = "remove the lab with `kgen lab down`, and start it again"
        raise KgenError(f"{path} is damaged, or another version of kgen wrote it", hint) from error


def _read(directory: Path, facts: dict[str, Any]) -> Lab:
    if facts.pop("format") != _FORMAT:
        raise ValueError("another format")
    segment = facts.pop("segment")
    return Lab(
        directory=directory,
        segment=Segment(IPv4Network(segment["cidr"]), IPv4Address(segment["gateway"]), IPv4Address(segment["dns"])),
        machines=tuple(LabMachine(**machine) for machine in facts.pop("machines")),
        **facts,
    )


def with_accelerator(lab: Lab, accelerator: Accelerator) -> Lab:
    """Return the lab with another accelerator."""
    return replace(lab, accelerator=accelerator)


def find(output: Path, cluster: str = "") -> Path:
    """Return the absolute directory of the lab of ``cluster``, or of the only lab below ``output``.

    Raises:
        InputError: there is none, or there are several.
    """
    found = sorted(path.parent for path in output.glob(f"*/{DIRECTORY}/{STATE_FILE}"))
    if cluster:
        found = [path for path in found if path.parent.name == cluster]
    if len(found) > 1:
        names = ", ".join(path.parent.name for path in found)
        raise InputError(f"there are several labs in {output}: {names}", "choose one with --cluster NAME")
    if not found:
        whose = f"of {cluster} " if cluster else ""
        hint = "`kgen lab up CLUSTER_FILE --image IMAGE.qcow2` starts one; --output DIR names another place"
        raise InputError(f"there is no lab {whose}in {output}", hint)
    return found[0].absolute()
