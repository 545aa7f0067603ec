"""An image of machines from another image: QEMU starts a copy of it once, which applies the recipe to itself."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kgen import engine, resources
from kgen.bake import tree
from kgen.bake.recipe import Recipe
from kgen.emitters.iso import iso, write_iso
from kgen.errors import InputError, KgenError
from kgen.lab import consoles, disks, processes, qemu, qmp
from kgen.lab.disks import Image
from kgen.lab.qemu import Hardware
from kgen.lab.state import Accelerator

MEMORY = 2048
_CPUS = 2
_SIZE = 10 << 30  # of the image's disk, at least: what machines write is in there, too
_VOLUME = "kgen-bake"
_DRIVE = "bake.iso"
_RESULT = "result.log"
_EXIT = re.compile(r"^kgen: exit (\d+)$", re.MULTILINE)
_MAC = "52:54:00:00:00:01"
_LOOK_SECONDS = 1.0
_SHOWN_LINES = 12


@dataclass(frozen=True, slots=True)
class Sources:
    """What the recipe takes: the recipe itself, and directories with archives, programs and wheels of Salt, if any."""

    recipe: Recipe
    archives: Path | None = None
    files: Path | None = None
    wheels: Path | None = None


class KvmError(Exception):
    """KVM met an instruction that it cannot run."""


def prepare(directory: Path, sources: Sources) -> None:
    """Write what the machine reads into ``directory``: a seed, and a drive with ``sources``.

    Raises:
        InputError: pip cannot be downloaded.
    """
    given = {"archives": sources.archives, "files": sources.files, "wheels": sources.wheels}
    folders = {name: path for name, path in given.items() if path is not None}
    if sources.wheels is None:
        folders["pip"] = _download_pip(directory / "pip")
    files: dict[str, Path | bytes] = {
        "build": resources.template_text("lab/build").encode(),
        "recipe.tar": _tar(sources.recipe),
    }
    programs = {source["file"] for source in sources.recipe.programs.values() if "file" in source}
    for name, folder in folders.items():
        wanted = (path for path in sorted(folder.iterdir()) if path.is_file())
        files.update((f"{name}/{it.name}", it) for it in wanted if name != "files" or it.name in programs)
    write_iso(directory / _DRIVE, _VOLUME, files)
    # Containerd pulls what no archive holds.
    options = ["--pull", *(f"--{name} /mnt/{name}" for name, path in given.items() if path is not None)]
    (directory / qemu.SEED).write_bytes(iso(_seed(" ".join(options))))


def run(directory: Path, base: Image, hardware: Hardware, seconds: float, on_line: Callable[[str], None]) -> None:
    """Start the machine from a copy of ``base``; return when it has done its work and is off.

    ``on_line`` is called with each line that the work prints.

    Raises:
        KgenError: the recipe was not applied, or not within ``seconds``.
        KvmError: KVM cannot run the machine.
    """
    deadline = time.monotonic() + seconds
    result = ("-chardev", f"file,id=result,path={_RESULT}", "-serial", "chardev:result")
    # The user-mode network is a way out only.
    words = qemu.command(hardware, directory, "user,id=net,ipv6=off", *result, "-no-reboot")
    disks.overlay(directory, base, _SIZE)
    processes.start(words, directory)
    try:
        with (directory / _RESULT).open("rb") as file:
            lines = _Lines(file)
            while pid := processes.running_pid(directory):
                processes.has_ended(pid, _LOOK_SECONDS)
                lines.tell(on_line)
                if hardware.accelerator == qemu.KVM and qmp.status(directory) == "internal-error":
                    raise KvmError
                if time.monotonic() > deadline:
                    raise KgenError(f"the image is not made after {seconds:.0f} s{_said(directory)}", _HINT)
            lines.tell(on_line)
    finally:
        processes.kill(directory)
    found = _EXIT.search(_result(directory))
    if not found:
        raise KgenError(f"the machine is off, and the image is not made{_said(directory)}", _HINT)
    if found[1] != "0":
        raise KgenError(f"the recipe cannot be applied{_said(directory)}", "fix what the lines name, and run it again")


_HINT = (
    "the base image needs cloud-init, systemd, Python 3.9, a kernel with console=ttyS0, and a boot loader"
    " (or --kernel and --initrd); --timeout gives it more time"
)


def hardware(accelerator: Accelerator, boot: Sequence[str], append: str) -> Hardware:
    """Return the machine; ``boot`` is kernel and initrd for an image without a boot loader, or two empty texts."""
    kernel, initrd = boot
    return Hardware(
        accelerator=accelerator,
        cpus=_CPUS,
        memory=MEMORY,
        mac=_MAC,
        drives=(qemu.SEED, _DRIVE),
        kernel=kernel,
        initrd=initrd,
        append=append,
    )


def _seed(options: str) -> dict[str, bytes]:
    """Return the seed. The work begins when cloud-init has ended, so that nothing of cloud-init stays in the image."""
    unit = "systemd-run --quiet --no-block --unit=kgen-lab-image --property=After=cloud-final.service"
    start = f"exec >/dev/ttyS1 2>&1; mount -o ro LABEL={_VOLUME} /mnt && {unit} sh /mnt/build {options}"
    config = {
        "preserve_hostname": True,
        "users": [],
        "apt": {"preserve_sources_list": True},
        "runcmd": [["sh", "-c", f"{start} || echo 'kgen: exit 1'"]],
    }
    return {
        "user-data": b"#cloud-config\n" + engine.to_yaml(config).encode(),
        "meta-data": engine.to_yaml({"instance-id": "kgen-lab-image"}).encode(),
        "vendor-data": b"",
    }


def _tar(recipe: Recipe) -> bytes:
    """Return the recipe's files, as `kgen bake` writes them."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for artifact in tree.artifacts(recipe):
            member = tarfile.TarInfo(str(artifact.path.relative_to(tree.ROOT)))
            member.size = len(artifact.content)
            member.mode = artifact.file_mode
            archive.addfile(member, io.BytesIO(artifact.content))
    return written.getvalue()


def _download_pip(directory: Path) -> Path:
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(directory), "pip"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["pip gives no reason"]
        hint = "install pip for kgen's Python (apt-get install python3-pip), or give Salt's wheels with --wheels DIR"
        raise InputError(f"pip, which fetches Salt in the machine, cannot be downloaded: {said[-1]}", hint)
    return directory


class _Lines:
    """The lines of a file that grows."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = b""

    def tell(self, on_line: Callable[[str], None]) -> None:
        """Call ``on_line`` with each whole line that is new, except the last one of all."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            text = consoles.readable(line.decode(errors="replace")).strip()
            if text and not _EXIT.fullmatch(text):
                on_line(text)


def _result(directory: Path) -> str:
    return consoles.readable(consoles.tail(directory / _RESULT))


def _said(directory: Path) -> str:
    """Return the end of what the work has printed, else of what the console has shown."""
    text = _result(directory) or consoles.readable(consoles.tail(directory / qemu.CONSOLE))
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not _EXIT.match(line)]
    return ":" + "".join(f"\n  {line}" for line in lines[-_SHOWN_LINES:]) if lines else ""
