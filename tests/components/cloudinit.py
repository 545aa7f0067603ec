"""The real cloud-init of Debian's suites, in trees of their own: nothing of the host is configured or installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from . import cache, debian

SUITES = {"22.4": "bookworm", "25.1": "trixie", "26.2": "forky"}
"""The cloud-init of each generation, and the Debian suite that carries it."""

_PACKAGES = (
    "cloud-init",
    "base-files",
    "base-passwd",
    "coreutils",
    "dash",
    "findutils",
    "grep",
    "hostname",
    "iproute2",
    "passwd",
    "sed",
    "util-linux",
)
_STAGES = (
    ("init", "--local"),
    ("init",),
    ("modules", "--mode=config"),
)  # what systemd starts up to cloud-config.target
_CONFIG = """\
datasource_list: [NoCloud]
network: {config: disabled}
syslog_fix_perms: null
output: {all: "> /var/log/cloud-init-output.log"}
cloud_init_modules: [bootcmd, write_files]
cloud_config_modules: [runcmd]
cloud_final_modules: []
"""  # the modules that deliver; others would look for a real machine's services
_ENTER = """\
set -e
cd "$1" && shift
mount -t proc proc proc
mount -t tmpfs tmpfs dev
for device in null urandom; do touch dev/$device && mount --bind /dev/$device dev/$device; done
touch dev/console
exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin "$@"
"""
_NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount", "--uts", "--pid", "--fork")


def tree(suite: str) -> Path:
    """Return the cached tree with cloud-init of ``suite`` and what it calls."""
    return debian.root("cloud-init", suite, _PACKAGES)


class Machine:
    """A copy of a suite's tree that boots as far as ``cloud-config.target``, in namespaces of its own."""

    def __init__(self, version: str, directory: Path) -> None:
        """Copy the tree of cloud-init ``version`` (a key of ``SUITES``) to ``directory``, which must not exist."""
        self.root = directory
        self.command_line = ""  # what cloud-init takes for the kernel's
        self.has_network = False  # the host's: for servers on 127.0.0.1. Without rights over it
        cache.run(["cp", "--archive", "--reflink=auto", tree(SUITES[version]), directory])
        for name in ("dev", "proc", "run", "sys", "tmp", "var/lib/cloud/seed/nocloud", "var/log"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        for name in ("passwd", "group"):  # made by base-passwd's installation
            shutil.copy(directory / f"usr/share/base-passwd/{name}.master", directory / "etc" / name)
        bundle = directory / "etc/ssl/certs/ca-certificates.crt"  # made by ca-certificates' installation
        bundle.parent.mkdir(parents=True, exist_ok=True)
        bundle.write_bytes(b"".join(path.read_bytes() for path in directory.glob("usr/share/ca-certificates/*/*.crt")))
        (directory / "etc/cloud/cloud.cfg.d/99-test.cfg").write_text(_CONFIG, encoding="utf-8")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run ``command`` as root of the tree: its own processes, mounts and, unless it has the host's, network."""
        network = () if self.has_network else ("--net",)
        kernel = ("env", f"DEBUG_PROC_CMDLINE={self.command_line}") if self.command_line else ()
        words = [*_NAMESPACES, *network, "sh", "-c", _ENTER, "sh", str(self.root), *kernel, *command]
        return subprocess.run(words, capture_output=True, text=True)

    def version(self) -> str:
        """Return what this cloud-init says its version is.

        Raises:
            RuntimeError: this machine does not allow the namespaces, or cloud-init does not start.
        """
        done = self.run("cloud-init", "--version")
        if done.returncode != 0:
            raise RuntimeError(f"cannot run a program in namespaces of its own: {done.stderr.strip()}")
        return done.stdout.split()[-1]

    def schema(self, document: bytes) -> subprocess.CompletedProcess[str]:
        """Check ``document`` (plain text) with ``cloud-init schema``."""
        (self.root / "tmp/document.yaml").write_bytes(document)
        return self.run("cloud-init", "schema", "--config-file", "/tmp/document.yaml")

    def instance(self, instance_id: str) -> Path:
        """Return cloud-init's directory of an instance; its link ``instance`` is absolute and means the host's."""
        return self.root / "var/lib/cloud/instances" / instance_id

    def boot(self, user_data: bytes, instance_id: str) -> str:
        """Boot once with ``user_data`` from a NoCloud seed; return cloud-init's log of this boot.

        Raises:
            RuntimeError: a stage failed.
        """
        return self._boot({"user-data": user_data, "meta-data": f"instance-id: {instance_id}\n".encode()})

    def boot_seed(self, directory: Path) -> str:
        """Boot once with the files of a NoCloud seed; return cloud-init's log of this boot.

        Raises:
            RuntimeError: a stage failed.
        """
        return self._boot({path.name: path.read_bytes() for path in directory.iterdir()})

    def boot_command_line(self, command_line: str) -> str:
        """Boot once without a seed on the machine, with this command line of the kernel; return cloud-init's log.

        Raises:
            RuntimeError: a stage failed.
        """
        shutil.rmtree(self.root / "var/lib/cloud")
        (self.root / "var/lib/cloud").mkdir()
        self.command_line = command_line
        return self.reboot()

    def put(self, path: str, content: bytes) -> None:
        """Write a file of the machine."""
        (self.root / path).write_bytes(content)

    def _boot(self, seed: Mapping[str, bytes]) -> str:
        shutil.rmtree(self.root / "var/lib/cloud/seed/nocloud")
        (self.root / "var/lib/cloud/seed/nocloud").mkdir()
        for name, content in seed.items():
            self.put(f"var/lib/cloud/seed/nocloud/{name}", content)
        return self.reboot()

    def reboot(self) -> str:
        """Boot once with what is there; return cloud-init's log of this boot.

        Raises:
            RuntimeError: a stage failed.
        """
        shutil.rmtree(self.root / "run/cloud-init", ignore_errors=True)
        log = self.root / "var/log/cloud-init.log"
        log.unlink(missing_ok=True)
        for stage in _STAGES:
            done = self.run("cloud-init", *stage)
            if done.returncode != 0:
                raise RuntimeError(f"cloud-init {' '.join(stage)} exited {done.returncode}: {done.stdout}{done.stderr}")
        return log.read_text(encoding="utf-8")
