"""A rendered cluster on a bench: documents delivered as cloud-init would, first boots, clients."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kgen.firstboot import payload_json
from tests.components import golang
from tests.control_plane.machines import Bench, Machine, Running
from tests.installed import kgen

KUBERNETES = "1.37.2"
ETCD = "3.7.0"
ETCD_TAG = "3.7.0-0"
KUBELET = Path(__file__).with_name("kubelet")
FIRST_BOOT_SECONDS = 180.0
RUNNER = "usr/local/lib/kgen/firstboot.py"
DONE = "var/lib/kgen/done"
STATE = "var/lib/kgen/state.json"
ETCD_DATA = "var/lib/etcd"
LOGS = "var/log/pods"
DRY_RUN = "/tmp/join"
STATUS = "run/kgen/status.json"
ADMIN = "etc/kubernetes/admin.conf"
SUPER_ADMIN = "etc/kubernetes/super-admin.conf"


@dataclass
class Deployment:
    """One cluster file, rendered into ``directory``, and the machines of it that were booted."""

    cluster_file: Path
    outputs: Path
    directory: Path
    bench: Bench
    known: list[Machine]
    machines: dict[str, Machine] = field(default_factory=dict)

    @classmethod
    def render(
        cls,
        source: Path,
        directory: Path,
        bench: Bench,
        known: list[Machine],
        *,
        before: Callable[[Path], None] = lambda cluster_file: None,
    ) -> Deployment:
        """Render ``source`` with a secrets bundle of its own. Machines are added to ``known`` for their logs.

        ``before`` is called with the copy of ``source`` that is rendered.
        """
        cluster_file = directory / source.name
        described = yaml.safe_load(source.read_text(encoding="utf-8"))
        for path in (source.name, *described.get("manifests", ())):
            shutil.copy(source.with_name(path), directory / path)
        before(cluster_file)
        kgen("render", cluster_file, "--output", directory / "outputs", "--quiet")
        return cls(cluster_file, directory / "outputs" / described["name"], directory, bench, known)

    def machine(
        self, name: str, address: str, *, user_data: Path | None = None, root: str = "", hosts: str = ""
    ) -> Machine:
        """Switch on a machine with a document (default: the one of its name) and return it.

        ``root`` names its directory where two machines have had the same name; ``hosts`` are lines for /etc/hosts.
        """
        kubernetes, etcd = golang.kubernetes(KUBERNETES), golang.etcd(ETCD)
        images = {
            f"{component}:v{KUBERNETES}": kubernetes / component
            for component in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
        }
        made = Machine(
            name,
            address,
            self.directory / "machines" / (root or name),
            programs=[kubernetes / "kubeadm", kubernetes / "kubectl", etcd / "etcdctl"],
            images={**images, f"etcd:{ETCD_TAG}": etcd / "etcd"},
        )
        own = "".join(f"{each} {name}\n" for each in made.addresses)
        write(made.root / "etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n{own}{hosts}")
        deliver(user_data or self.user_data(name), made.root)
        self.known.append(made)
        self.machines[root or name] = self.bench.add(made)
        return made

    def rebuild(self, name: str) -> Machine:
        """Give the machine a new disk and its document, switch it on and return it; only etcd's data is kept."""
        machine = self.machines[name]
        machine.power_off()
        kept = self.directory / f"{name}-etcd"
        (machine.root / ETCD_DATA).rename(kept)
        hosts = (machine.root / "etc/hosts").read_text()
        shutil.rmtree(machine.root)
        write(machine.root / "etc/hosts", hosts)
        deliver(self.user_data(name), machine.root)
        (machine.root / ETCD_DATA).parent.mkdir(parents=True, exist_ok=True)
        kept.rename(machine.root / ETCD_DATA)
        machine.power_on()
        return machine

    def first_boot(self, machine: Machine) -> None:
        """Run the runner, which must succeed."""
        finished(start_first_boot(machine), machine)

    def user_data(self, name: str) -> Path:
        """Return the readable document of a machine or pool."""
        return self.outputs / "user-data" / f"{name}.yaml"

    def review(self, name: str) -> Path:
        """Return the review tree of a machine or pool."""
        return self.outputs / "nodes" / name

    def published(self) -> list[dict[str, Any]]:
        """Return the objects of ``api/``, in publish order."""
        paths = sorted((self.outputs / "api").iterdir())
        return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths]


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file of a machine, making the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    path.chmod(mode)
    path.write_text(text, encoding="utf-8")


def deliver(user_data: Path, root: Path) -> None:
    """Write the ``write_files`` of a document below ``root``, as cloud-init does."""
    text = user_data.read_text(encoding="utf-8")
    assert text.startswith("#cloud-config\n")
    for entry in yaml.safe_load(text)["write_files"]:
        assert "encoding" not in entry, "nothing inside the document is encoded"
        write(root / entry["path"].lstrip("/"), entry["content"], int(entry.get("permissions", "0644"), 8))


def power_cycle(machine: Machine) -> None:
    """Cut the power and boot again; systemd starts the kubelet that the runner has enabled."""
    machine.power_off()
    machine.power_on()
    machine.check([*shlex.split(kubelet_command(machine)), "start"])


def reseal(machine: Machine, **values: Any) -> None:
    """Change the body of the payload that lies on the machine, and its checksum with it."""
    path = machine.root / "etc/kgen/payload.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(payload_json.text_of(document["body"] | values), encoding="utf-8")


def kubelet_command(machine: Machine) -> str:
    """Return what the runner puts ``start`` and ``restart`` after."""
    return shlex.join([sys.executable, str(KUBELET), "--root", str(machine.root)])


def runner_command(machine: Machine) -> list[str | Path]:
    """Return the command line of the shipped runner: without site packages, below the machine's root."""
    options = ["--root", machine.root, "--kubelet-command", kubelet_command(machine)]
    return [machine.root / RUNNER, *options]


def start_first_boot(machine: Machine) -> Running:
    """Start the runner and return at once."""
    return machine.start([sys.executable, "-I", "-S", *runner_command(machine)])


def finished(running: Running, machine: Machine, *, expect: int = 0) -> str:
    """Wait for a runner, which must exit with ``expect``, and return what it printed."""
    status, output = running.wait(FIRST_BOOT_SECONDS)
    assert status == expect, f"the runner on {machine.name} exited {status}, not {expect}\n{output[-4000:]}"
    return output


def status(machine: Machine) -> dict[str, Any]:
    """Return status.json of the machine, empty before there is one."""
    path = machine.root / STATUS
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def kubectl(machine: Machine, *words: str | Path, conf: str = SUPER_ADMIN) -> str:
    """Run kubectl on the machine, with a kubeconfig of it, and return what it printed."""
    return machine.check(["kubectl", "--kubeconfig", f"/{conf}", *words], chroot=True)


def api(machine: Machine, *words: str, conf: str = SUPER_ADMIN) -> Any:
    """Return parsed ``kubectl get … -o json``: an object, or the items of a list."""
    answer = json.loads(kubectl(machine, "get", *words, "-o", "json", conf=conf))
    return answer["items"] if answer["kind"] == "List" else answer


def join_command(cluster: Deployment) -> list[str]:
    """Return the words that ``kgen token join-command`` prints after ``kubeadm join``."""
    words = shlex.split(kgen("token", "join-command", cluster.cluster_file))
    assert words[:2] == ["kubeadm", "join"]
    return words[2:]


def dry_run_join(machine: Machine, *words: str) -> str:
    """Run ``kubeadm join`` without doing anything; its preflight checks are about a machine this is not."""
    command = ["kubeadm", "join", "--dry-run", "--ignore-preflight-errors=all", *words]
    return machine.check(command, chroot=True, env={"KUBEADM_JOIN_DRYRUN_DIR": DRY_RUN})
