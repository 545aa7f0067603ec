"""QEMU: which programs it takes, whether KVM can be used, and the command lines of machines and of the gateway."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kgen.errors import InputError, KgenError
from kgen.facts import names
from kgen.lab import switch
from kgen.lab.state import GATEWAY_SOCKET, MACHINES_SOCKET, Accelerator, Disk, Lab, LabMachine

KVM: Accelerator = "kvm"
TCG: Accelerator = "tcg"

EMULATOR, IMAGE_TOOL = "qemu-system-x86_64", "qemu-img"
_PACKAGES = {EMULATOR: "qemu-system-x86", IMAGE_TOOL: "qemu-utils"}  # Debian's and Ubuntu's
_OLDEST = (7, 2)  # the first with `-netdev stream`
_KVM_DEVICE = Path("/dev/kvm")
# MiB that QEMU keeps of what it has translated, the most it can. With less, all of it is thrown away while the API
# server starts.
_TRANSLATIONS = 2047
# Everything that QEMU knows, except what costs an emulated kernel most of a quarter of its time: strings copied byte by
# byte (erms), a fifth level of page tables, keys and guards of pages that are switched at each call, nested machines.
_EMULATED_PROCESSOR = "max,-erms,-la57,-smap,-smep,-pku,-mpx,-umip,-svm"
OPTIONS: dict[str, tuple[str, ...]] = {
    KVM: ("-accel", "kvm", "-cpu", "host"),
    TCG: ("-accel", f"tcg,thread=multi,tb-size={_TRANSLATIONS}", "-cpu", _EMULATED_PROCESSOR),
}
SSH_PORT = 22
APPEND = "root=/dev/vda rw console=ttyS0"
"""The command line of a kernel that is started without a boot loader, unless the user gives another one."""
DISK, SEED, CONSOLE = "disk.qcow2", "seed.iso", "console.log"  # files in a machine's directory
SEAL_KEY = names.SEAL_KEY_PATH.name
"""The file in a machine's directory with the key of its sealed payload, if it is sealed."""


def require_programs() -> None:
    """Check that the programs are installed, and that QEMU is new enough.

    Raises:
        KgenError: one is missing or too old.
    """
    missing = [program for program in _PACKAGES if not shutil.which(program)]
    if missing:
        packages = " ".join(_PACKAGES[program] for program in missing)
        raise KgenError(f"{' and '.join(missing)} cannot be found", f"apt-get install {packages}")
    said = subprocess.run([EMULATOR, "--version"], capture_output=True, text=True).stdout
    version = re.search(r"version (\d+)\.(\d+)", said)
    if version and (int(version[1]), int(version[2])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise KgenError(f"QEMU {version[1]}.{version[2]} is too old for a lab", f"install QEMU {oldest} or newer")


def kvm_obstacle() -> str:
    """Return why KVM cannot be used, or "" if it seems usable: only a guest shows whether it is."""
    if not _KVM_DEVICE.exists():
        return f"this computer has no {_KVM_DEVICE}"
    if not os.access(_KVM_DEVICE, os.R_OK | os.W_OK):
        return f"you may not open {_KVM_DEVICE} (add yourself to the group kvm)"
    # A computer that is itself a virtual machine may have the device, and no processor for it.
    words = [EMULATOR, *OPTIONS[KVM], "-nodefaults", "-display", "none", "-S", "-monitor", "stdio"]
    done = subprocess.run(words, input="quit\n", capture_output=True, text=True)
    if done.returncode:
        return f"KVM cannot run a guest here ({next(iter(done.stderr.splitlines()), done.returncode)})"
    return ""


def choose(wanted: Accelerator | None) -> tuple[Accelerator, tuple[str, ...]]:
    """Return the accelerator to try, ``wanted`` or the better one, and sentences for the user about that.

    Raises:
        InputError: KVM is wanted and cannot be used.
    """
    obstacle = kvm_obstacle()
    if wanted == KVM and obstacle:
        raise InputError(f"KVM cannot be used: {obstacle}", "leave --accelerator out to emulate the machines")
    if wanted or not obstacle:
        return wanted or KVM, ()
    return TCG, (f"{obstacle}, so machines are emulated, which is slow",)


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine as QEMU makes it. ``drives`` are files of its directory that it has as further disks, read-only."""

    accelerator: Accelerator
    cpus: int
    memory: int
    mac: str
    disk: Disk = "virtio"
    drives: tuple[str, ...] = (SEED,)
    uuid: str = ""
    serial: str = ""
    kernel: str = ""
    initrd: str = ""
    append: str = ""
    starts_from_network: bool = False


def command(hardware: Hardware, directory: Path, netdev: str, *options: str) -> list[str]:
    """Return the command that starts a machine. It runs in ``directory``, and ends when the machine is on.

    ``netdev`` is QEMU's option for the other end of its network card, with the id ``net``.
    """
    order = ",bootindex=0" if hardware.starts_from_network else ""
    words = [
        *(EMULATOR, *OPTIONS[hardware.accelerator]),
        *("-name", f"guest={_quoted(str(directory))}", "-smp", str(hardware.cpus), "-m", str(hardware.memory)),
        *("-display", "none", "-nodefaults", "-daemonize", "-pidfile", "pid"),
        *("-chardev", f"file,id=console,path={CONSOLE},append=on", "-serial", "chardev:console"),
        *("-chardev", "socket,id=qmp,path=qmp.sock,server=on,wait=off", "-mon", "chardev=qmp,mode=control"),
        # Nothing of a lab has to survive a crash of this computer. A cut of the machine's power loses nothing that
        # QEMU has handed to this computer's kernel.
        *("-drive", f"file={DISK},if=none,id=root,format=qcow2,cache=unsafe,discard=unmap"),
        *("-device", _DISKS[hardware.disk]),
        *(word for file in hardware.drives for word in ("-drive", f"file={file},if=virtio,format=raw,readonly=on")),
        *("-netdev", netdev, "-device", f"virtio-net-pci,netdev=net,mac={hardware.mac}{order}"),
        *("-device", "virtio-rng-pci"),
    ]
    if hardware.uuid:
        words += ["-uuid", hardware.uuid]
    if hardware.serial:
        words += ["-smbios", f"type=1,serial={_quoted(hardware.serial)}"]
    if hardware.kernel:
        words += ["-kernel", hardware.kernel, "-append", hardware.append]
    if hardware.initrd:
        words += ["-initrd", hardware.initrd]
    if (directory / SEAL_KEY).exists():  # systemd in the machine takes it as a credential
        words += ["-fw_cfg", f"name=opt/io.systemd.credentials/{names.SEAL_KEY_CREDENTIAL},file={SEAL_KEY}"]
    return [*words, *options]


def machine_command(lab: Lab, machine: LabMachine, directory: Path) -> list[str]:
    """Return the command that starts a machine of a lab, connected to the lab's switch."""
    hardware = Hardware(
        accelerator=lab.accelerator,
        cpus=machine.cpus,
        memory=machine.memory,
        mac=machine.mac,
        disk=lab.disk,
        uuid=machine.uuid,
        serial=machine.serial,
        kernel=lab.kernel,
        initrd=lab.initrd,
        append=lab.append,
    )
    # A relative path: a socket's path has at most 107 bytes.
    netdev = f"stream,id=net,server=off,addr.type=unix,addr.path=../{MACHINES_SOCKET}"
    return command(hardware, directory, netdev)


_DISKS = {
    "virtio": "virtio-blk-pci,drive=root,bootindex=1",
    "nvme": "nvme,serial=root,drive=root,bootindex=1",
}


def switch_command(directory: Path) -> list[str]:
    """Return the command that starts the switch, in ``directory``."""
    return [sys.executable, "-I", switch.__file__, str(directory)]


def gateway_command(lab: Lab, directory: Path) -> list[str]:
    """Return the command that starts the gateway, in ``directory``: a QEMU without a machine.

    QEMU's user-mode network does for all machines what it usually does for one: it is their way to the world and their
    server of names, and forwards ports of this computer. It needs no root.
    """
    user = [
        f"user,id=user,ipv6=off,net={lab.segment.cidr},host={lab.segment.gateway},dns={lab.segment.dns}",
        f"dhcpstart={lab.segment.unused}",  # no machine asks for an address; the usual one may be the gateway's
        *_forwards(lab.machines),
    ]
    return [
        *(EMULATOR, "-M", "none", "-nodefaults", "-display", "none", "-daemonize", "-pidfile", "pid"),
        *("-name", f"guest={_quoted(str(directory))}"),
        *("-netdev", ",".join(user), "-netdev", "hubport,id=port0,hubid=0,netdev=user"),
        *("-netdev", f"stream,id=wire,server=off,addr.type=unix,addr.path=../{GATEWAY_SOCKET}"),
        *("-netdev", "hubport,id=port1,hubid=0,netdev=wire"),
    ]


def _forwards(machines: Sequence[LabMachine]) -> Iterator[str]:
    for machine in machines:
        yield f"hostfwd=tcp:127.0.0.1:{machine.ssh_port}-{machine.address}:{SSH_PORT}"
        if machine.api_port:
            yield f"hostfwd=tcp:127.0.0.1:{machine.api_port}-{machine.address}:{machine.bind_port}"


def _quoted(text: str) -> str:
    """Return a value as QEMU's options take it: a comma is written twice."""
    return text.replace(",", ",,")
