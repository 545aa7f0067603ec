"""This host, looked at once a run: the accelerator of every machine, and how slow machines are here.

The probe is a fixed piece of work: the machines' kernel starts, mounts the machines' disk and runs one program as init.
KVM is used when the probe passes under KVM, software emulation (TCG) otherwise; a ``/dev/kvm`` alone proves nothing.
The probe's QEMU is the only one that is not started by ``kgen.lab``: it has no disk, network or pid file of its own.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from kgen.lab.qemu import EMULATOR, KVM, OPTIONS, TCG, kvm_obstacle
from kgen.lab.state import Accelerator
from tests.components import machine_image

# Debian's kernels have drivers of NVMe and ext4 built in: without an initrd a machine is there 9 of 30 s earlier.
ROOT = "root=/dev/nvme0n1"
KERNEL_ARGUMENTS = (
    # After a panic QEMU ends (-no-reboot), which the watcher waits for; later on the kubelet sets as much.
    "rw console=ttyS0 quiet net.ifnames=0 panic=5"
    # The newest kernel samples memory by default, at a third of an emulated CPU; nothing here needs mitigations.
    " damon_stat.enabled=0 mitigations=off"
    # Go sleeps for microseconds: 1,400 timer interrupts a second, each of which is emulated at great cost. Timers that
    # end with the kernel's tick make every mark of a boot come a tenth to a third earlier, kubeadm's as well as kgen's.
    " highres=off"
    # How fast QEMU's translator finds its blocks depends on their addresses: with random ones cloud-init's Python takes
    # 5 or 11 s to import itself, by chance; with these it is 5 to 6 each time.
    " norandmaps nokaslr"
    # Memory cleared when it is taken, and chance in the stack of each call: guards that are emulated, too.
    " init_on_alloc=0 randomize_kstack_offset=off"
)
# The last word of a kernel whose init has ended.
_PASSED = "Attempted to kill init"
_PROBE_SECONDS = {KVM: 30, TCG: 600}
# The probe takes this long under software emulation on an idle machine with two cores: its processor time there.
REFERENCE_SECONDS = 6
# The least factor under software emulation. Two machines at once can be twice as slow as the probe, which is one: with
# a factor of 1 an API server was ended by its liveness probe again and again, where the probe took 1.2 times as long.
_LEAST_OF_TCG = 2


@dataclass(frozen=True)
class Host:
    """The accelerator of this run, and the seconds that the probe took."""

    accelerator: Accelerator
    seconds: float

    @property
    def pace(self) -> float:
        """Return how many times longer than usual a machine needs for the same work; less than 1 under KVM."""
        return self.seconds / REFERENCE_SECONDS

    @property
    def factor(self) -> float:
        """Return the factor of every wait, probe and lease: 1 under KVM, unless the host is slow; more if emulated."""
        return max(self.pace, _LEAST_OF_TCG if self.accelerator == TCG else 1)


def report(text: str) -> None:
    """Print what a run drew by chance or measured; pytest shows it with -s, and with every failure."""
    sys.stderr.write(f"boot: {text}\n")


@functools.cache
def host() -> Host:
    """Return the host, probed at the first call of the run; say what was found."""
    reason = kvm_obstacle()
    if not reason:
        try:
            return _told(Host(KVM, _probe(KVM)), "a guest runs under KVM")
        except RuntimeError as error:
            reason = f"no guest runs under KVM here: {error}"
    return _told(Host(TCG, _probe(TCG)), reason)


def _told(found: Host, reason: str) -> Host:
    report(
        f"accelerator {found.accelerator} ({reason}); the probe took {found.seconds:.1f} s,"
        f" {found.pace:.1f} times the usual {REFERENCE_SECONDS} s: waits, probes and leases times {found.factor:.1f}"
    )
    return found


def scaled(seconds: float) -> float:
    """Return ``seconds``, longer on a slow host."""
    return seconds * host().factor


def verdict() -> str:
    """Probe again, and return whether a boot that has just failed may have failed because the host is slow.

    Every machine must stand still meanwhile.
    """
    start = host()
    try:
        pace = Host(start.accelerator, _probe(start.accelerator)).pace
    except RuntimeError as error:
        return f"The probe itself fails now, with every machine stopped: {error}"
    now = f"Machines are {pace:.1f} times slower than usual now; {start.pace:.1f} at the start of the run"
    if pace > start.factor * 1.2:
        return f"{now}. Waits were for a factor of {start.factor:.1f}: the host may have been too slow. Run it again."
    return f"{now}. Waits were for a factor of {start.factor:.1f}: the host is not too slow."


def _probe(accelerator: Accelerator) -> float:
    """Return the seconds in which a kernel of the machines starts, mounts their disk and runs ``/usr/bin/true``."""
    image = machine_image.machine_image(machine_image.FORKY)
    directory = Path(tempfile.mkdtemp(prefix="kgen-probe-"))
    console = directory / "console.log"
    arguments = KERNEL_ARGUMENTS.replace("rw ", "ro ").replace("panic=5", "panic=-1")
    command = [
        *(EMULATOR, *OPTIONS[accelerator], "-smp", "1", "-m", "1024", "-display", "none"),
        *("-no-reboot", "-nodefaults", "-serial", f"file:{console}"),
        *("-kernel", str(image / machine_image.KERNEL), "-append", f"{ROOT} {arguments} init=/usr/bin/true"),
        *("-drive", f"file={image / machine_image.DISK},if=none,id=root,format=raw,snapshot=on"),
        *("-device", "nvme,serial=root,drive=root"),
    ]
    begin = time.monotonic()
    try:
        with (directory / "qemu.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                _until_end(process, directory / "qemu.log", begin + _PROBE_SECONDS[accelerator])
            finally:
                process.kill()
        seconds = time.monotonic() - begin
        shown = console.read_text(encoding="utf-8", errors="replace") if console.exists() else ""
        if _PASSED in shown:
            return seconds
        said = (directory / "qemu.log").read_text(encoding="utf-8", errors="replace")
        first = next((line for line in said.splitlines() if "error" in line), said[:200].strip())
        raise RuntimeError(f"the kernel ran no program in {seconds:.0f} s ({first or 'QEMU says nothing'})")
    finally:
        shutil.rmtree(directory)


def _until_end(process: subprocess.Popen[bytes], log: Path, deadline: float) -> None:
    """Wait until QEMU has ended, has stopped its machine because KVM cannot run it, or the time is over."""
    while process.poll() is None and time.monotonic() < deadline:
        if b"KVM internal error" in log.read_bytes():
            return
        time.sleep(0.05)
